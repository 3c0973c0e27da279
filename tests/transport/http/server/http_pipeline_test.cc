// How often an http::Server that answers pipelined requests enters the kernel.
#include <uaio/http.h>

#include "tests/support/server_fixture.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using http::Exchange;

TEST_CASE_TEMPLATE("the responses to 16 pipelined requests leave in at most 2 sends", Kernel,
                   OnLinux, OnPoll) {
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

}  // namespace
}  // namespace uaio
