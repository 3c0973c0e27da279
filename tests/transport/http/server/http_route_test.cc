// The routes of the requests of one connection, which keeps the last one.
#include <uaio/http.h>

#include "tests/support/server_fixture.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio::http_route_test {

using http::Exchange;

TEST_CASE_TEMPLATE("requests of one connection that differ in one part have different routes",
                   Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const auto answer = [&fixture](const char* method, const char* path,
                                   const char* text) -> http::Route& {
        return fixture.server().handle(method, path, [text](Exchange& exchange) {
            exchange.respond(std::string(text) + " " + std::string(exchange.path()) + " " +
                             std::string(exchange.path_suffix()) + ".");
        });
    };
    answer("GET", "/ab", "get");
    answer("POST", "/ab", "post");
    answer("GET", "/tree", "tree").prefix();
    answer("GET", "/ab", "host").host("ab");
    fixture.listen();
    const struct {
        const char* line;
        const char* host;
        const char* expected;
    } cases[] = {
        {"GET /ab", "h", "get /ab ."},
        {"GET /ab", "h", "get /ab ."},
        {"GET /ab", "ab", "host /ab ."},
        {"POST /ab", "ab", "post /ab ."},
        {"GET /ab", "h", "get /ab ."},
        {"GET /tree/x", "h", "tree /tree/x /x."},
        {"GET /tree/x", "h", "tree /tree/x /x."},
        {"GET /tree/%78", "h", "tree /tree/x /x."},
        {"GET /tree", "h", "tree /tree ."},
        {"GET /tree/y?q", "h", "tree /tree/y /y."},
    };
    RawPeer peer = fixture.connect();
    for (const auto& one : cases) {
        CAPTURE(one.line);
        const std::string request = std::string(one.line) + " HTTP/1.1\r\nHost: " + one.host +
                                    "\r\nContent-Length: 0\r\n\r\n";
        CHECK(content_of(fixture.exchange(peer, request, ".")) == one.expected);
    }
}

}  // namespace uaio::http_route_test
