// fixed_content(): its responses to usual requests, whose head is serialised once, and to others.
#include <uaio/http.h>

#include "tests/support/server_fixture.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

std::string without_date(std::string response) {
    const std::size_t at = response.find("Date: ");
    return at == response.npos ? "no date" : response.erase(at, response.find('\n', at) + 1 - at);
}

TEST_CASE_TEMPLATE("fixed_content() suits its head to the request and the connection", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.requests_per_connection = 2});
    fixture.server().handle("", "/", http::fixed_content("hi", "text/x"));
    fixture.listen();
    const std::string fields = "Content-Length: 2\r\nContent-Type: text/x\r\n";
    const std::string head = "HTTP/1.1 200 OK\r\n" + fields;
    RawPeer peer = fixture.connect();
    peer.send(kGet);
    CHECK(without_date(fixture.receive(peer, "hi")) == head + "\r\nhi");
    CHECK(without_date(fixture.get("/")) == head + "Connection: close\r\n\r\nhi");
    CHECK(without_date(fixture.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
              .starts_with(head + "Connection: keep-alive\r\n\r\nhi"));
    CHECK(without_date(fixture.ask("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) ==
          head + "Connection: close\r\n\r\n");
    CHECK(without_date(fixture.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
                                   "Upgrade: x\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"))
              .starts_with(head + "\r\nhi"));
    // The second request of a connection is the last.
    peer.send(kGet);
    CHECK(fixture.receive_to_end(peer).ends_with("Connection: close\r\n\r\nhi"));
}

TEST_CASE_TEMPLATE("fixed_content() of no bytes is a response without content", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("", "/", http::fixed_content("", "text/x"));
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send(kGet);
    CHECK(without_date(fixture.receive(peer, "\r\n\r\n")) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/x\r\n\r\n");
    peer.send(kGet);
    REQUIRE(fixture.run_until([&] { return fixture.server().requests() == 2; }));
}

}  // namespace
}  // namespace uaio
