// Engines that end during tls handshakes on them.
#include <uaio/engine_group.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/one_shot.h"
#include "tests/support/tls/ends.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace uaio::tls_end_test {

using namespace std::chrono_literals;

// An engine, a tls listener and a connector. All but the engine may outlive it.
struct HandshakeFixture {
    explicit HandshakeFixture(KernelKind kind, const Faults& faults = {}, std::uint64_t seed = 1) {
        if (kind == OnSim::kKind) kernel.emplace(seed, faults);
        engine =
            kernel ? std::make_unique<Engine>(*kernel) : std::make_unique<Engine>(options_on(kind));
        auto below = std::make_unique<tcp::Listener>(*engine, Endpoint::loopback(0));
        endpoint = below->local_endpoint();
        listener.emplace(*engine, std::move(below), tls::Context(server_options()));
        tcp.emplace(endpoint);
        connector.emplace(*tcp, tls::Context(client_options()), to_localhost());
    }

    std::optional<SimKernel> kernel;
    std::unique_ptr<Engine> engine;
    Endpoint endpoint;
    std::optional<tls::Listener> listener;
    std::optional<tcp::Connector> tcp;
    std::optional<tls::Connector> connector;
};

// Ended once, with a stream or with Errc::closed.
bool is_ended(const Ended& ended, const StreamPtr& stream) {
    if (stream) return ended == success(0);
    return ended == failure(Errc::closed);
}

// Ends the engine during a handshake, when `run` returns; true if the handshake had ended before.
template <class Run>
bool end_after(HandshakeFixture&& fixture, Run run) {
    StreamPtr accepted;
    StreamPtr connected;
    Ended accept;
    Ended connect;
    fixture.listener->accept(one_shot(*fixture.engine, accept), accepted);
    fixture.connector->connect(one_shot(*fixture.engine, connect), connected);
    run(*fixture.engine);
    const bool over = accept.calls + connect.calls == 2;
    fixture.engine.reset();
    CAPTURE(accept);
    CAPTURE(connect);
    CHECK(is_ended(accept, accepted));
    CHECK(is_ended(connect, connected));
    return over;
}

TEST_CASE_TEMPLATE("an engine destroyed after any turn of a handshake ends both sides once", Kernel,
                   OnLinux, OnPoll, OnSim) {
    static_cast<void>(
        end_after(HandshakeFixture(Kernel::kKind), [](Engine& engine) { run_some(engine); }));
    const std::size_t descriptors = open_descriptors();
    const std::int64_t blocks = live_allocations();
    int turns = 0;
    for (bool over = false; !over; ++turns) {
        CAPTURE(turns);
        REQUIRE(turns < 1000);
        over = end_after(HandshakeFixture(Kernel::kKind), [turns](Engine& engine) {
            for (int turn = 0; turn < turns; ++turn)
                engine.run_once(1ms);
        });
        CHECK(open_descriptors() == descriptors);
        CHECK(live_allocations() == blocks);
    }
    CHECK(turns > 2);  // some of them in its middle
}

TEST_CASE("an engine on a faulty kernel destroyed in a handshake ends both sides once") {
    const Faults faults{.short_write = 500, .short_read = 500, .late_cancel = 500, .reorder = 300};
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        bool over = false;
        for (int turns = 0; !over; ++turns) {
            CAPTURE(seed);
            CAPTURE(turns);
            REQUIRE(turns < 1000);
            over = end_after(HandshakeFixture(OnSim::kKind, faults, seed), [turns](Engine& engine) {
                for (int turn = 0; turn < turns; ++turn)
                    engine.run_once(1ms);
            });
        }
    }
}

TEST_CASE_TEMPLATE("an engine destroyed while peers are silent ends their handshakes", Kernel,
                   OnLinux, OnPoll, OnSim) {
    HandshakeFixture fixture(Kernel::kKind);
    const tls::Context server(server_options());
    const tls::Context client(client_options());
    // Plain connections, each with a handshake on one of its ends alone.
    auto plain = std::make_unique<tcp::Listener>(*fixture.engine, Endpoint::loopback(0));
    std::vector<StreamPtr> silent(2);
    std::vector<StreamPtr> made(4);
    Ended asks, asked, by_connector, accepts;
    for (StreamPtr& stream : silent) {
        StreamPtr other;
        Operation connect(*fixture.engine);
        Operation accept(*fixture.engine);
        plain->accept(accept.aio, other);
        tcp::connect(plain->local_endpoint(), {}, connect.aio, stream);
        REQUIRE(run_until(*fixture.engine, [&] { return connect.done() && accept.done(); }));
        if (&stream == &silent[0]) {
            tls::connect(client, std::move(other), to_localhost(), one_shot(*fixture.engine, asks),
                         made[0]);
        } else {
            tls::accept(server, std::move(other), one_shot(*fixture.engine, asked), made[1]);
        }
    }
    tcp::Connector below(plain->local_endpoint());
    tls::Connector connector(below, client, to_localhost());
    connector.connect(one_shot(*fixture.engine, by_connector), made[2]);
    fixture.listener->accept(one_shot(*fixture.engine, accepts), made[3]);
    StreamPtr late;
    Ended connect;
    tcp::connect(fixture.endpoint, {}, one_shot(*fixture.engine, connect), late);
    REQUIRE(run_until(*fixture.engine, [&] { return connect.calls > 0; }));
    run_some(*fixture.engine);
    CHECK(asks == kPending);
    CHECK(asked == kPending);
    fixture.engine.reset();
    for (const Ended* const ended : {&asks, &asked, &by_connector, &accepts})
        CHECK(*ended == failure(Errc::closed));
    for (const StreamPtr& stream : made)
        CHECK(!stream);
}

// The results of operations, written on the engine's thread and read later on another.
struct Pair {
    Ended accept;
    Ended connect;
    StreamPtr accepted;
    StreamPtr connected;
};

TEST_CASE_TEMPLATE("the end of an engine's thread ends each running handshake once", Kernel,
                   OnLinux, OnPoll) {
    constexpr int kPairs = 8;
    const tls::Context server(server_options());
    const tls::Context client(client_options());
    unsigned cut = 0;
    for (std::uint64_t round = 0; round <= kPairs; ++round) {
        CAPTURE(round);
        std::vector<Pair> pairs(kPairs);
        // Only the engine's end ends the operations in flight.
        std::optional<tcp::Connector> plain;
        std::optional<tls::Connector> connector;
        std::optional<tls::Listener> listener;
        {
            EngineThread io(options_on(Kernel::kKind));
            auto below = std::make_unique<tcp::Listener>(io.engine(), Endpoint::loopback(0));
            plain.emplace(below->local_endpoint());
            listener.emplace(io.engine(), std::move(below), server);
            connector.emplace(*plain, client, to_localhost());
            const std::uint64_t before = client.handshakes();
            for (Pair& pair : pairs) {
                listener->accept(one_shot(io.engine(), pair.accept), pair.accepted);
                connector->connect(one_shot(io.engine(), pair.connect), pair.connected);
            }
            // By then some have completed; which ones, and how far the others are, is random.
            while (client.handshakes() < before + round)
                std::this_thread::yield();
        }
        for (const Pair& pair : pairs) {
            CHECK(is_ended(pair.accept, pair.accepted));
            CHECK(is_ended(pair.connect, pair.connected));
            cut += !pair.accepted || !pair.connected;
        }
    }
    CHECK(cut > 0);
}

}  // namespace uaio::tls_end_test
