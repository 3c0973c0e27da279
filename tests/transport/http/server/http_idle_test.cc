// A server's connections that wait for a request: what they hold, and that nothing of one
// connection is left for another that uses the same session later.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/kernels.h"
#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_idle_test {

using namespace std::chrono_literals;
using http::Exchange;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

std::string without_date(std::string response) {
    const std::size_t at = response.find("Date: ");
    return at == response.npos ? response : response.erase(at, response.find('\n', at) + 1 - at);
}

TEST_CASE("a connection that waits for a request holds less than 1 KiB") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::size_t kClients = 200;
    ServerFixture fixture(OnLinux::kKind);
    fixture.server().handle("", "/", http::fixed_content("hi", "text/x"));
    fixture.listen();
    std::vector<RawPeer> peers;
    peers.reserve(kClients + 1);
    peers.push_back(fixture.connect());
    fixture.exchange(peers[0], kGet, "\r\n\r\nhi");
    if (fixture.engine().kernel() != KernelKind::io_uring) return;
    const std::int64_t before = live_bytes();
    for (std::size_t i = 0; i < kClients; ++i)
        peers.push_back(fixture.connect());
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == kClients + 1; }));
    const auto each = [&] { return (live_bytes() - before) / std::int64_t{kClients}; };
    CHECK(each() < 1024);
    std::size_t peers_bytes = 0;
    for (RawPeer& peer : peers) {
        fixture.exchange(peer, kGet, "\r\n\r\nhi");
        peers_bytes += peer.received().capacity() + 16;
    }
    fixture.run_some();
    CHECK(fixture.server().requests() == kClients + 2);
    CHECK(each() - std::int64_t(peers_bytes / kClients) < 1024);
}

TEST_CASE("connections that had large requests at once hold little memory between requests") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::size_t kClients = 50;
    ServerFixture fixture(OnLinux::kKind);
    fixture.server().handle("", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    if (fixture.engine().kernel() != KernelKind::io_uring) return;
    std::vector<RawPeer> peers;
    peers.reserve(kClients);
    // Each gets a session of its own, since all requests are incomplete at the same time.
    std::string large = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n";
    for (int field = 0; field < 3; ++field)
        large += "F" + std::to_string(field) + ": " + std::string(7000, 'f') + "\r\n";
    const std::string trailer = "\r\n1\r\nx\r\n0\r\nT: " + std::string(7000, 't') + "\r\n\r\n";
    RawPeer first = fixture.connect();
    fixture.exchange(first, large + trailer, "\r\n\r\nhi");
    const std::int64_t before = live_bytes();
    for (std::size_t i = 0; i < kClients; ++i) {
        peers.push_back(fixture.connect());
        peers[i].send(large);
        fixture.run_some();
    }
    std::size_t peers_bytes = 0;
    for (RawPeer& peer : peers) {
        fixture.exchange(peer, trailer, "\r\n\r\nhi");
        peers_bytes += peer.received().capacity() + 16;
    }
    fixture.run_some();
    CHECK(fixture.server().requests() == kClients + 1);
    // With the sessions that the server keeps.
    const auto each = (live_bytes() - before) / std::int64_t{kClients};
    CHECK(each - std::int64_t(peers_bytes / kClients) < 6 * 1024);
}

// Requests that leave more in a session than others do.
const std::vector<std::string> kUnusual = {
    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nchunk\r\n0\r\nT: "
    "v\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nExpect: else\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HT",
    "GET / HTTP/1.1\r\nHost: h\r\nNo colon\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\nbytes",
    "GET /none HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /" + std::string(6000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n",
    "PO",
    "\r\n\r\n",
};

TEST_CASE_TEMPLATE("nothing of one connection is left for another", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    std::vector<std::string> trailers;
    fixture.server().handle("", "/", [&](Exchange& exchange) {
        trailers.emplace_back(exchange.reader().trailer().get("T").value_or(""));
        exchange.respond(std::string(exchange.request().content()) + "hi");
    });
    fixture.listen();
    RawPeer first = fixture.connect();
    const std::string usual = without_date(fixture.exchange(first, kGet, "\r\n\r\nhi"));
    for (const std::string& request : kUnusual) {
        for (const bool waits : {true, false}) {
            INFO(request, waits);
            {
                RawPeer peer = fixture.connect();
                peer.send(request);
                if (waits) fixture.run_some();
            }
            if (waits) fixture.run_some();
            RawPeer next = fixture.connect();
            CHECK(without_date(fixture.exchange(next, kGet, "\r\n\r\nhi")) == usual);
            CHECK(trailers.back().empty());
            CHECK(without_date(fixture.exchange(next, kGet, "\r\n\r\nhi")) == usual);
        }
    }
    CHECK(without_date(fixture.exchange(first, kGet, "\r\n\r\nhi")) == usual);
}

TEST_CASE_TEMPLATE("requests that wait for a handler stay intact while others are received", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Exchange* held = nullptr;
    fixture.server().handle("GET", "/slow", [&](Exchange& exchange) { held = &exchange; });
    fixture.server()
        .handle(
            "GET", "/",
            [](Exchange& exchange) { exchange.respond(std::string(exchange.request().target())); })
        .prefix();
    fixture.listen();
    RawPeer slow = fixture.connect();
    const std::string tail(300, 'z');
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /" + tail + " HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return held != nullptr; }));
    // More than the buffers of the kernel's ring.
    RawPeer other = fixture.connect();
    for (int i = 0; i < 40; ++i) {
        const std::string name = "/" + std::string(400, static_cast<char>('a' + i % 26));
        fixture.exchange(other, "GET " + name + " HTTP/1.1\r\nHost: h\r\n\r\n", name);
    }
    held->respond("late");
    CHECK(fixture.receive(slow, "/" + tail).ends_with("/" + tail));
}

TEST_CASE_TEMPLATE("a hijacked connection keeps the bytes behind the request", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    std::optional<http::Connection> taken;
    fixture.server().handle("GET", "/take",
                            [&](Exchange& exchange) { taken.emplace(exchange.hijack()); });
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("GET /take HTTP/1.1\r\nHost: h\r\n\r\nbehind it");
    REQUIRE(fixture.run_until([&] { return taken.has_value(); }));
    RawPeer other = fixture.connect();
    for (int i = 0; i < 40; ++i)
        fixture.exchange(
            other, "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(400, 'x') + "\r\n\r\n", "hi");
    std::string bytes(9, ' ');
    Aio read(fixture.engine());
    read.set_iov(bytes.data(), bytes.size());
    taken->read_all(read);
    CHECK(!read.wait());
    CHECK(bytes == "behind it");
    taken.reset();
}

TEST_CASE("drain() closes a connection when its last response is sent") {
    SimServerFixture fixture({.idle_timeout = 75s});
    fixture.server().handle(
        "GET", "/", [](Exchange& exchange) { exchange.respond(std::string(1 << 20, 'x')); });
    fixture.listen();
    SimPeer& peer = fixture.kernel().connect_peer(80);
    peer.set_window(1000);
    peer.read_nothing();
    peer.send(kGet);
    for (int turn = 0; turn < 10; ++turn)
        fixture.engine().run_once(1ms);
    REQUIRE(fixture.server().requests() == 0);
    Aio drained(fixture.engine());
    fixture.server().drain(drained);
    fixture.engine().run_once(1ms);
    peer.read_everything();
    CHECK(fixture.time_until([&] { return peer.saw_fin(); }) < 75s);
    CHECK(peer.received().size() > (1 << 20));
}

}  // namespace uaio::http_idle_test
