// The parsers allocate nothing on the heap, and their cost grows with the bytes and not with the
// number of pieces.
#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/head_parser.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio::http::http_allocation_test {

TEST_CASE("the parser allocates nothing, not even for the first message") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    best_scanner();  // selected once, which allocates nothing either
    const std::string request =
        "POST http://b/a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "Connection: a, b\r\nExpect: 100-continue\r\n\r\n";
    const std::string chunks = "5;a=\"b\"\r\nhello\r\n0\r\nT: v\r\n\r\n";
    const std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    const std::string malformed = "GET / HTTP/1.1\r\nHost : a\r\n\r\n";
    const std::uint64_t before = thread_allocations();
    FieldSlice room[8];
    FieldSlice trailer_room[8];
    RequestParser requests(room);
    ChunkedDecoder decoder(trailer_room);
    ResponseParser responses(room);
    bool good = requests.parse(request).progress == Progress::complete;
    requests.reset();
    for (std::size_t size = 0; size <= malformed.size(); ++size)
        requests.parse(std::string_view(malformed).substr(0, size));
    std::string_view rest = chunks;
    for (;;) {
        const Chunked step = decoder.decode(rest);
        rest.remove_prefix(step.consumed);
        if (step.outcome != Chunked::Outcome::data) break;
    }
    good &= rest.empty() && decoder.trailers().size() == 1;
    good &= responses.parse(response).progress == Progress::complete;
    const std::uint64_t after = thread_allocations();
    CHECK(good);
    CHECK(after == before);
}

std::uint64_t scanned_bytes = 0;

template <Scanner::Scan Scanner::*scan>
std::size_t counting(const char* base, std::size_t at, std::size_t end) noexcept {
    const std::size_t found = (plain_scanner().*scan)(base, at, end);
    scanned_bytes += found - at + 1;
    return found;
}

constexpr Scanner kCounting{"counting", &counting<&Scanner::token>, &counting<&Scanner::value>,
                            &counting<&Scanner::target>};

TEST_CASE("a head received byte by byte is scanned once") {
    const std::string head = "GET /" + std::string(8000, 'a') + " HTTP/1.1\r\nHost: a\r\n" +
                             std::string(4000, 'b') + ": " + std::string(4000, 'c') +
                             "\r\nX: " + std::string(8000, ' ') + "\r\n\r\n";
    FieldSlice room[8];
    RequestParser parser(room, {}, kCounting);
    scanned_bytes = 0;
    Parsed parsed;
    for (std::size_t size = 0; size <= head.size(); ++size)
        parsed = parser.parse(std::string_view(head).substr(0, size));
    CHECK(parsed.progress == Progress::complete);
    CHECK(parsed.consumed == head.size());
    CHECK(scanned_bytes < 3 * head.size());
}

}  // namespace uaio::http::http_allocation_test
