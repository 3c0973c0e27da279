// The cost of parsing the head of a request in memory, including the position of each field: a
// browser's request of 703 bytes and a small one of 73 bytes. Baselines: Debian's http-parser,
// which checks less, and our own parser without vector instructions.
#include "bench/peers/http_parser_heads.h"
#include "bench/support/contest.h"
#include "transport/http/format/head_parser.h"

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

constexpr std::string_view kBrowser =
    "GET /shop/catalogue/garden/2024/autumn/lawn-mower-with-very-quiet-motor.jpg HTTP/1.1\r\n"
    "Host: images.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Referer: http://www.example.org/shop/catalogue/garden/\r\n"
    "Cookie: session=4b9f2c6e8d1a7035; consent=essential%2Cstatistics; basket="
    "1004.1,2381.4,7730.2,1182.1,9054.3,4417.1,3306.5,8125.1,6671.2,2290.1,5508.6,7143.1,"
    "1867.2,9932.1,4050.8,3379.1,6214.1,2745.3,8861.1,5093.2,6120.1,9043.122; theme=dark\r\n"
    "Cache-Control: max-age=0\r\n"
    "\r\n";
static_assert(kBrowser.size() == 703);
constexpr std::size_t kBrowserFields = 9;

constexpr std::string_view kSmall =
    "GET / HTTP/1.1\r\n"
    "Host: localhost:8080\r\n"
    "User-Agent: probes\r\n"
    "Accept: */*\r\n"
    "\r\n";
static_assert(kSmall.size() == 73);
constexpr std::size_t kSmallFields = 3;

class OurHeads {
public:
    explicit OurHeads(const http::Scanner& scanner) : parser_(room_, {}, scanner) {}

    std::size_t read(std::string_view request) {
        parser_.reset();
        if (parser_.parse(request).progress != http::Progress::complete)
            throw std::runtime_error("the parser of uaio refuses the request");
        return parser_.head().fields.size();
    }

private:
    std::array<http::FieldSlice, 100> room_;
    http::RequestParser parser_;
};

template <class Heads>
void run(benchmark::State& state, Heads& heads, std::string_view text, std::size_t fields) {
    // Exactly as long as the request, as a receive buffer may be: the last bytes are the slowest.
    const std::vector<char> bytes(text.begin(), text.end());
    const std::string_view request(bytes.data(), bytes.size());
    if (heads.read(request) != fields) throw std::logic_error("the parser did not find all fields");
    for (auto _ : state) {
        benchmark::DoNotOptimize(heads.read(request));
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void add_request(const char* name, std::string_view text, std::size_t fields) {
    add(name, "uaio", Timing::thread, [=](benchmark::State& state) {
        OurHeads heads(http::best_scanner());
        run(state, heads, text, fields);
    });
    add(name, "plain_scanner", Timing::thread, [=](benchmark::State& state) {
        OurHeads heads(http::plain_scanner());
        run(state, heads, text, fields);
    });
    add(name, "http_parser", Timing::thread, [=](benchmark::State& state) {
        HttpParserHeads heads;
        run(state, heads, text, fields);
    });
}

}  // namespace

void add_contenders() {
    add_request("request/703B", kBrowser, kBrowserFields);
    add_request("request/73B", kSmall, kSmallFields);
}

}  // namespace uaio::bench
