// The parser of usual heads agrees with the strict parsers, which read everything else: on random
// heads, on every byte at every place of a head, and at every limit.
#include "tests/support/http_reader.h"
#include "transport/http/format/usual_head.h"

#include <array>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_usual_head_test {

using namespace http;

std::size_t usual_size(std::string_view bytes, const Reading& how) {
    std::array<FieldSlice, 128> room;
    const Scanner& scanner = how.scanner ? *how.scanner : best_scanner();
    if (how.response) {
        ResponseHead head;
        return parse_usual(bytes, room, how.limits, scanner, how.answer_to, head);
    }
    RequestHead head;
    return parse_usual(bytes, room, how.limits, scanner, head);
}

// Compares both parsers. True if the head is a usual one.
bool agrees(std::string_view bytes, Reading how) {
    const SeenMessage strict = read_message(bytes, how);
    how.usual = true;
    const SeenMessage usual = read_message(bytes, how);
    if (!(usual == strict)) {
        const std::string text(bytes);
        CAPTURE(text);
        CHECK(usual == strict);
    }
    return usual_size(bytes, how) > 0;
}

// The scanners that have a classifier.
std::vector<const Scanner*> fast_scanners() {
    std::vector<const Scanner*> found;
    for (const Scanner* scanner : usable_scanners()) {
        if (scanner->classify) found.push_back(scanner);
    }
    return found;
}

class Heads {
public:
    explicit Heads(bool responses) : responses_(responses) {}

    std::string next() {
        std::string head = responses_ ? status_line() : request_line();
        if (!responses_ && random_() % 16 != 0) head += "Host: " + one_of(kHosts) + line_end();
        for (std::uint64_t left = random_() % 6; left > 0; --left)
            head += field();
        head += random_() % 64 == 0 ? one_of(kOddEnds) : "\r\n";
        if (random_() % 4 == 0) head += one_of(kBehind);
        if (random_() % 8 == 0) mutate(head);
        if (random_() % 16 == 0) head.resize(random_() % (head.size() + 1));
        return head;
    }

private:
    using List = std::vector<std::string>;

    std::string one_of(const List& list) { return list[random_() % list.size()]; }
    std::string line_end() { return random_() % 64 == 0 ? one_of(kOddEnds) : "\r\n"; }
    std::string rarely(const List& odd, const char* usual) {
        return random_() % 16 == 0 ? one_of(odd) : usual;
    }

    std::string request_line() {
        return rarely({"", "\r\n", " ", "\r", "\n"}, "") + one_of(kMethods) +
               rarely({"  ", "\t", ""}, " ") + one_of(kTargets) + rarely({"  ", "\t", ""}, " ") +
               rarely({"HTTP/1.0", "HTTP/2.0", "http/1.1", "HTTP/1.1 "}, "HTTP/1.1") + line_end();
    }
    std::string status_line() {
        return rarely({"HTTP/1.0", "HTTP/2.0", "\r\nHTTP/1.1"}, "HTTP/1.1") +
               rarely({"  ", "\t", ""}, " ") + one_of(kStatuses) + rarely({"", "\t"}, " ") +
               rarely({"", " ", "\x01", "\xff", "a\tb"}, "OK") + line_end();
    }
    std::string field() {
        const std::string name =
            random_() % 3 == 0
                ? std::string(1 + random_() % 90, static_cast<char>('a' + random_() % 26))
                : one_of(kNames);
        const std::string value =
            random_() % 3 == 0
                ? std::string(random_() % 90, static_cast<char>('!' + random_() % 90))
                : one_of(kValues);
        return name + rarely({"", " ", "\t"}, "") + ":" + rarely({"", "  ", "\t", " \t"}, " ") +
               value + rarely({" ", "\t", " \t "}, "") + line_end();
    }
    void mutate(std::string& head) {
        static constexpr std::string_view kBytes("\0\r\n\t :,\x7f\x80\xff\x1f#", 13);
        const std::size_t at = random_() % head.size();
        const char byte = kBytes[random_() % kBytes.size()];
        switch (random_() % 3) {
            case 0: head[at] = byte; break;
            case 1: head.insert(at, 1, byte); break;
            default: head.erase(at, 1 + random_() % 3); break;
        }
    }

    const bool responses_;
    std::mt19937_64 random_{9112};
    const List kOddEnds{"\n", "\r", "\r\r\n", " \r\n", "\r\n ", "\r\n\t", "\n\r", "\r\n\r\n"};
    const List kBehind{"x", "GET / HTTP/1.1\r\n", "\r\n", "HTTP/1.1 200 OK\r\n\r\n", "hello"};
    const List kMethods{"GET",     "GET",   "GET",     "POST", "PUT", "HEAD",
                        "CONNECT", "TRACE", "OPTIONS", "G@T",  ""};
    const List kTargets{"/",          "/a", "/a/b?c=d", "/?", "/a?b?c", "*", "a:80",
                        "http://h/p", "/#", "/\x80",    "//", "/a b",   ""};
    const List kHosts{"a",   "example.org", "127.0.0.1:8080", "[::1]", "", "a b",
                      "a,b", "u@h",         "a:99999",        "a:"};
    const List kStatuses{"200", "200", "204", "304", "404",  "500", "101",
                         "100", "103", "099", "20",  "2000", "2x0"};
    const List kNames{"Host",
                      "Content-Length",
                      "content-length",
                      "Transfer-Encoding",
                      "Connection",
                      "Upgrade",
                      "Expect",
                      "Accept",
                      "Set-Cookie",
                      "X",
                      "X:",
                      "",
                      "X Y",
                      "Trailer"};
    const List kValues{"0",
                       "5",
                       "05",
                       "-1",
                       "5, 5",
                       "18446744073709551616",
                       "chunked",
                       "gzip, chunked",
                       "chunked, chunked",
                       "identity",
                       "close",
                       "keep-alive",
                       "upgrade",
                       "close, x@y",
                       "100-continue",
                       "nonsense",
                       "a b",
                       "\"a,b\"",
                       "\xff",
                       "a\rb",
                       "a\nb",
                       "",
                       "websocket"};
};

TEST_CASE("the parser of usual requests agrees with the strict one on random heads") {
    const std::vector<const Scanner*> scanners = fast_scanners();
    Heads heads(false);
    std::size_t usual = 0;
    constexpr std::size_t kHeads = 150'000;
    for (std::size_t i = 0; i < kHeads && !scanners.empty(); ++i)
        usual += agrees(heads.next(), {.scanner = scanners[i % scanners.size()]}) ? 1 : 0;
    CHECK((scanners.empty() || (usual > kHeads / 50 && usual < kHeads)));
}

TEST_CASE("the parser of usual responses agrees with both strictnesses on random heads") {
    const std::vector<const Scanner*> scanners = fast_scanners();
    Heads heads(true);
    std::size_t usual = 0;
    constexpr std::size_t kHeads = 150'000;
    for (std::size_t i = 0; i < kHeads && !scanners.empty(); ++i) {
        const bool lenient = i % 2 == 0;
        const Reading how{.response = true,
                          .answer_to = i % 5 == 0   ? "HEAD"
                                       : i % 7 == 0 ? "CONNECT"
                                                    : "GET",
                          .scanner = scanners[i % scanners.size()],
                          .strictness = lenient ? Strictness::lenient : Strictness::strict};
        usual += agrees(heads.next(), how) ? 1 : 0;
    }
    CHECK((scanners.empty() || (usual > kHeads / 50 && usual < kHeads)));
}

// Heads that are longer than two blocks of a classifier.
const std::string kRequest =
    "POST /a/path?with=a%20query HTTP/1.1\r\nHost: example.org:8080\r\nContent-Length: 5\r\n"
    "Connection: keep-alive, close\r\nAccept: text/html;q=0.9, */*\r\nExpect: 100-continue\r\n"
    "User-Agent: a program\r\n\r\nhello";
const std::string kResponse =
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\nServer: a program\r\n\r\nhello";

TEST_CASE("both parsers agree on every byte at every place of a head, and on every front of it") {
    for (const Scanner* scanner : fast_scanners()) {
        for (const bool response : {false, true}) {
            const std::string& whole = response ? kResponse : kRequest;
            const Reading how{.response = response, .scanner = scanner};
            CHECK(agrees(whole, how));
            for (std::size_t at = 0; at < whole.size(); ++at) {
                agrees(whole.substr(0, at), how);
                for (int code = 0; code < 256; ++code) {
                    std::string changed = whole;
                    changed[at] = static_cast<char>(code);
                    agrees(changed, how);
                }
            }
        }
    }
}

TEST_CASE("usual heads are recognised, and what the grammar forbids is not") {
    const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
    const auto usual = [](const std::string& bytes) { return usual_size(bytes, {}) > 0; };
    if (fast_scanners().empty()) return;
    CHECK(usual_size(get + "\r\nnext", {}) == get.size() + 2);
    CHECK(usual(get + "Cookie: a=b; c=d\r\nX:  \r\n\r\n") == false);
    CHECK(usual(get + "Cookie: a=b; c=d\r\nX: \r\n\r\n"));
    CHECK(usual(get + "Transfer-Encoding: chunked\r\n\r\n"));
    CHECK(usual(get + std::string(3000, 'n') + ": " + std::string(3000, 'v') + "\r\n\r\n"));
    const std::vector<std::string> odd{
        "X: a\r\n b\r\n",               // obs-fold
        std::string("X: a\0b\r\n", 8),  // NUL
        "X: a\rb\r\n",
        "X: a\nY: b\r\n",
        "X : a\r\n",
        "X:a\r\n",
        " X: a\r\n",
        "X: a \r\n",
        "X: a\r\nx: b\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Host: b\r\n",
    };
    for (const std::string& lines : odd) {
        CAPTURE(lines);
        CHECK_FALSE(usual(get + lines + "\r\n"));
    }
    CHECK_FALSE(usual("\r\n" + get + "\r\n"));
    CHECK_FALSE(usual("GET / HTTP/1.0\r\nHost: a\r\n\r\n"));
    CHECK_FALSE(usual("GET / HTTP/1.1\r\n\r\n"));
    CHECK_FALSE(usual("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n"));
}

TEST_CASE("a head at a limit is a usual one, and one beyond it is refused as before") {
    for (const bool response : {false, true}) {
        const std::string& whole = response ? kResponse : kRequest;
        const std::size_t size = whole.size() - 5;
        for (std::size_t limit = 0; limit <= size + 1; ++limit) {
            for (const Limits& limits : {Limits{.start_line = limit}, Limits{.field = limit},
                                         Limits{.head = limit}, Limits{.fields = limit / 16}}) {
                const Reading how{.response = response, .limits = limits};
                const bool usual = agrees(whole, how);
                if (limits.fields == Limits().fields && !fast_scanners().empty())
                    CHECK(usual == (limit >= size));
            }
        }
    }
}

}  // namespace uaio::http_usual_head_test
