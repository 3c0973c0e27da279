// How often an http::Server that answers pipelined requests enters the kernel, and allocates.
#include <uaio/config.h>
#include <uaio/http.h>

#include "tests/support/allocations.h"
#include "tests/support/server_fixture.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_pipeline_test {

using http::Exchange;

TEST_CASE_TEMPLATE("the responses to 16 pipelined requests leave in at most 2 sends", Kernel,
                   OnLinux, OnPoll) {
    if (kGatherEntries < 16 || kGatherBytes < 4096)
        return report_skip("a build option limits what one send gathers");
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("pong"); });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::size_t size = fixture.receive(peer, "pong").size();
    fixture.run_some();

    std::string batch;
    for (int i = 0; i < 16; ++i)
        batch += "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const EngineStatistics before = fixture.engine().statistics();
    peer.send(batch);
    REQUIRE(fixture.run_until([&] {
        peer.read_some();
        return peer.received().size() == 17 * size;
    }));
    const EngineStatistics after = fixture.engine().statistics();
    CHECK(after.submissions - before.submissions <= 3);  // two sends and the next read
    CHECK(after.turns - before.turns <= 3);
}

TEST_CASE_TEMPLATE("a server allocates nothing for later batches of many pipelining clients",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::size_t kClients = 40;
    constexpr std::size_t kBatch = 16;
    ServerFixture fixture(Kernel::kKind);
    std::size_t handled = 0;
    std::uint64_t allocated_at_first = 0;
    std::uint64_t allocated_at_last = 0;
    fixture.server().handle("GET", "/", [&](Exchange& exchange) {
        exchange.respond("pong");
        allocated_at_last = thread_allocations();
        if (handled++ % (kClients * kBatch) == 0) allocated_at_first = allocated_at_last;
    });
    fixture.listen();
    std::string batch;
    for (std::size_t i = 0; i < kBatch; ++i)
        batch += "GET / HTTP/1.1\r\nHost: a-name-that-is-not-short.test\r\n\r\n";
    std::vector<RawPeer> peers;
    for (std::size_t i = 0; i < kClients; ++i)
        peers.push_back(fixture.connect());
    for (std::size_t round = 1; round <= 5; ++round) {
        for (RawPeer& peer : peers)
            peer.send(batch);
        REQUIRE(fixture.run_until(
            [&] { return fixture.server().requests() == round * kClients * kBatch; }));
    }
    CHECK(allocated_at_last == allocated_at_first);
}

}  // namespace uaio::http_pipeline_test
