// Waits for bytes without an Aio and without a buffer of their own (IdleReceive).
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "engine/core.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"
#include "tests/support/server_fixture.h"
#include "transport/stream/idle_receive.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::byte_wait_test {

// The outcomes of waits.
struct Outcomes {
    int calls = 0;
    std::error_code error;
    std::string bytes;
    std::function<void()> then = [] {};

    bool await(Stream& stream) {
        IdleReceive* const idle = idle_receive_of(stream);
        REQUIRE(idle);
        return idle->await_bytes(
            [](void* self, std::error_code its_error, std::span<char> received) noexcept {
                auto& outcomes = *static_cast<Outcomes*>(self);
                ++outcomes.calls;
                outcomes.error = its_error;
                outcomes.bytes.append(received.data(), received.size());
                outcomes.then();
            },
            this);
    }
};

// A buffer that the kernel chooses, if this one has any (Linux 5.19).
bool await_or_skip(Outcomes& outcomes, Stream& stream) {
    if (outcomes.await(stream)) return true;
    report_skip("the kernel has no provided buffers");
    return false;
}

TEST_CASE_TEMPLATE("a wait ends with the bytes that arrive, and another may follow", Kernel,
                   OnLinux, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Outcomes outcomes;
    for (const std::string_view text : {"one", "two", "three"}) {
        if (!await_or_skip(outcomes, fixture.connection().stream())) return;
        fixture.run_some();
        const int before = outcomes.calls;
        fixture.peer().send(text);
        REQUIRE(fixture.run_until([&] { return outcomes.calls > before; }));
        CHECK(!outcomes.error);
    }
    CHECK(outcomes.bytes == "onetwothree");
    CHECK(outcomes.calls == 3);
}

TEST_CASE_TEMPLATE("a wait takes at most one buffer, and a read the rest", Kernel, OnLinux, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string sent = pattern(3 * BufferRing::kBufferBytes);
    fixture.peer().send(sent);
    Outcomes outcomes;
    if (!await_or_skip(outcomes, fixture.connection().stream())) return;
    REQUIRE(fixture.run_until([&] { return outcomes.calls > 0; }));
    CHECK(outcomes.bytes.size() <= BufferRing::kBufferBytes);
    std::string rest(sent.size() - outcomes.bytes.size(), ' ');
    Operation read(fixture.engine(), rest);
    fixture.connection().stream().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(rest.size()));
    CHECK(outcomes.bytes + rest == sent);
}

TEST_CASE_TEMPLATE("a wait ends with the end of the stream, as every later read", Kernel, OnLinux,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Outcomes outcomes;
    if (!await_or_skip(outcomes, fixture.connection().stream())) return;
    fixture.peer().shutdown_write();
    REQUIRE(fixture.run_until([&] { return outcomes.calls > 0; }));
    CHECK(outcomes.error == Errc::end_of_stream);
    CHECK(!outcomes.await(fixture.connection().stream()));
    char byte = 0;
    Operation read(fixture.engine(), {&byte, 1});
    fixture.connection().read(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::end_of_stream));
    CHECK(outcomes.calls == 1);
}

TEST_CASE_TEMPLATE("a stopped wait loses no byte", Kernel, OnLinux, OnSim) {
    for (const bool arrived : {false, true}) {
        ConnectionFixture fixture(Kernel::kKind);
        Stream& stream = fixture.connection().stream();
        Outcomes outcomes;
        if (!await_or_skip(outcomes, stream)) return;
        fixture.run_some();
        if (arrived) fixture.peer().send("bytes");
        idle_receive_of(stream)->stop_awaiting();
        idle_receive_of(stream)->stop_awaiting();
        REQUIRE(fixture.run_until([&] { return outcomes.calls > 0; }));
        if (!arrived) {
            CHECK(outcomes.error == Errc::canceled);
            fixture.peer().send("bytes");
        }
        if (outcomes.bytes.empty()) {
            std::string bytes(5, ' ');
            Operation read(fixture.engine(), bytes);
            fixture.connection().read_all(read.aio);
            REQUIRE(fixture.run_until_done(read));
            outcomes.bytes = bytes;
        }
        CHECK(outcomes.bytes == "bytes");
        CHECK(outcomes.calls == 1);
        idle_receive_of(stream)->stop_awaiting();  // no effect without a wait
    }
}

TEST_CASE_TEMPLATE("closing and destroying a stream end its wait with closed", Kernel, OnLinux,
                   OnSim) {
    for (const bool destroys : {false, true}) {
        ConnectionFixture fixture(Kernel::kKind);
        Outcomes outcomes;
        if (!await_or_skip(outcomes, fixture.connection().stream())) return;
        fixture.run_some();
        destroys ? fixture.drop_connection() : fixture.connection().close();
        CHECK(outcomes.calls == 0);
        REQUIRE(fixture.run_until([&] { return outcomes.calls > 0; }));
        CHECK(outcomes.error == Errc::closed);
        fixture.run_some();
        CHECK(outcomes.calls == 1);
    }
}

TEST_CASE_TEMPLATE("the outcome of a wait may destroy the stream", Kernel, OnLinux, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Outcomes outcomes;
    outcomes.then = [&] { fixture.drop_connection(); };
    if (!await_or_skip(outcomes, fixture.connection().stream())) return;
    fixture.peer().send("last");
    REQUIRE(fixture.run_until([&] { return outcomes.calls > 0; }));
    CHECK(outcomes.bytes == "last");
    fixture.run_some();
    CHECK(outcomes.calls == 1);
}

TEST_CASE("the end of an engine ends the waits of its sockets") {
    Outcomes outcomes;
    {
        ConnectionFixture fixture(OnLinux::kKind);
        if (!await_or_skip(outcomes, fixture.connection().stream())) return;
        fixture.run_some();
    }
    CHECK(outcomes.calls == 1);
    CHECK(outcomes.error == Errc::closed);
}

TEST_CASE("a stream on epoll leaves the wait to a read") {
    ConnectionFixture fixture(OnPoll::kKind);
    Outcomes outcomes;
    CHECK(!outcomes.await(fixture.connection().stream()));
    fixture.run_some();
    CHECK(outcomes.calls == 0);
}

// ---- more bytes at once than buffers

TEST_CASE("waits that find no buffer get one in the next turn, and the ring grows") {
    constexpr std::size_t kConnections = 100;
    Engine engine(options_on(OnLinux::kKind));
    tcp::Listener listener(engine, Endpoint::loopback(0));
    std::vector<RawPeer> peers;
    std::vector<StreamPtr> streams;
    std::vector<Outcomes> outcomes(kConnections);
    for (std::size_t i = 0; i < kConnections; ++i) {
        peers.push_back(RawPeer::connect_tcp(listener.local_endpoint()));
        StreamPtr stream;
        Aio accept(engine);
        listener.accept(accept, stream);
        REQUIRE(!accept.wait());
        streams.push_back(std::move(stream));
        if (!await_or_skip(outcomes[i], *streams[i])) return;
    }
    run_some(engine);
    const unsigned before = EngineCore::of(engine).locked().received.size();
    REQUIRE(before < kConnections);
    for (std::size_t i = 0; i < kConnections; ++i)
        peers[i].send(std::to_string(i));
    REQUIRE(run_until(engine, [&] {
        return std::ranges::all_of(outcomes, [](const Outcomes& each) { return each.calls > 0; });
    }));
    for (std::size_t i = 0; i < kConnections; ++i) {
        CHECK(!outcomes[i].error);
        CHECK(outcomes[i].bytes == std::to_string(i));
        CHECK(outcomes[i].calls == 1);
    }
    CHECK(EngineCore::of(engine).locked().received.size() > before);
}

TEST_CASE("waits get their bytes from a simulated kernel that often has no buffer") {
    std::uint64_t lacking = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SimKernel kernel(seed, {.interrupted_operation = 200, .no_buffer = 500});
        Engine engine(kernel);
        tcp::Listener listener(engine, Endpoint::loopback(80));
        SimPeer& peer = kernel.connect_peer(80);
        StreamPtr stream;
        Aio accept(engine);
        listener.accept(accept, stream);
        REQUIRE(!accept.wait());
        Outcomes outcomes;
        for (int round = 0; round < 5; ++round) {
            REQUIRE(outcomes.await(*stream));
            const int before = outcomes.calls;
            peer.send("x");
            REQUIRE(run_until(engine, [&] { return outcomes.calls > before; }));
            REQUIRE(!outcomes.error);
        }
        CHECK(outcomes.bytes == "xxxxx");
        lacking += kernel.counters().no_buffers;
    }
    CHECK(lacking > 10);
}

}  // namespace uaio::byte_wait_test
