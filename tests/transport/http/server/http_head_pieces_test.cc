// Requests that arrive in two pieces, or several at a time: the server answers as it answers whole
// ones, and limits the time of each response.
#include <uaio/http.h>
#include <uaio/sim.h>

#include "tests/support/sim_server_fixture.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_head_pieces_test {

using http::Exchange;
using namespace std::chrono_literals;

// The request, as a handler saw it.
std::string text_of(const Exchange& exchange) {
    std::string text(exchange.request().method());
    text.append(" ").append(exchange.request().target()).append("\n");
    text.append(exchange.request().headers().text()).append(exchange.request().content());
    return text;
}

std::string answer_to(const std::string& first, const std::string& rest) {
    SimServerFixture fixture;
    fixture.server()
        .handle("", "/", [](Exchange& exchange) { exchange.respond(text_of(exchange)); })
        .prefix();
    fixture.listen();
    SimPeer& peer = fixture.connect(first);
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 1; }));
    fixture.engine().run_once(0ns);
    peer.send(rest);
    peer.shutdown_write();
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 0; }));
    std::string received = peer.received();
    const std::size_t date = received.find("Date: ");
    if (date != received.npos) received.erase(date, received.find('\n', date) + 1 - date);
    return received;
}

TEST_CASE("a request in two receives gets the same answer at every place of the cut") {
    const std::vector<std::string> requests{
        "POST /a/b?c HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: h\r\nX:y\r\n\r\n",                 // no usual head
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",          // obs-fold
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n",  // space
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n",             // bare CR
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\n\r\n",                  // bare LF
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    };
    for (const std::string& request : requests) {
        CAPTURE(request);
        const std::string whole = answer_to(request, "");
        CHECK(whole.starts_with("HTTP/1.1 "));
        for (std::size_t cut = 1; cut < request.size(); ++cut) {
            CAPTURE(cut);
            CHECK(answer_to(request.substr(0, cut), request.substr(cut)) == whole);
        }
    }
}

TEST_CASE("send_timeout ends pipelined responses at every byte where the client stops reading") {
    const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (const bool fixed : {false, true}) {
        CAPTURE(fixed);
        for (std::size_t window = 1; window < 300; window += 7) {
            CAPTURE(window);
            SimServerFixture fixture(
                {.idle_timeout = 1000s, .send_timeout = 7s, .linger_timeout = 1s});
            const http::Handler whole = http::fixed_content("hello", "text/plain");
            fixture.server().handle("GET", "/", [&](Exchange& exchange) {
                fixed ? whole(exchange) : exchange.respond("hello");
            });
            fixture.listen();
            SimPeer& peer = fixture.kernel().connect_peer(80);
            peer.read_nothing();
            peer.set_window(window);
            peer.send(get + get + get);
            REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 1; }));
            const auto time =
                fixture.time_until([&] { return fixture.server().connections() == 0; });
            CHECK(time >= 7s);
            CHECK(time <= 3 * 7s + 2s);
        }
    }
}

}  // namespace uaio::http_head_pieces_test
