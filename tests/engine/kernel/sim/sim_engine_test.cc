// An engine on a simulated kernel: the two work together as in a user's test.
#include <uaio/engine.h>
#include <uaio/local.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/one_shot.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace uaio::sim_engine_test {

using std::chrono::milliseconds;

TEST_CASE("sim engine: a server answers a simulated peer in virtual time") {
    SimKernel kernel(7, {.delay_min = milliseconds(1), .delay_max = milliseconds(20)});
    {
        Engine engine(kernel);
        CHECK(engine.now() == kernel.now());
        CHECK(engine.fd() == -1);
        CHECK(std::string(engine.kernel_reason()).find("seed 7") != std::string::npos);
        tcp::Listener listener(engine, Endpoint::loopback(0));
        SimPeer& peer = kernel.connect_peer(listener.local_endpoint().port());
        StreamPtr stream;
        Aio aio(engine);
        listener.accept(aio, stream);
        REQUIRE_FALSE(aio.wait());

        peer.send("question");
        char bytes[8];
        aio.set_iov(bytes, sizeof bytes);
        stream->read_all(aio);
        CHECK_FALSE(aio.wait());
        CHECK(std::string(bytes, 8) == "question");

        const std::string answer(1 << 20, 'a');
        aio.set_iov(answer.data(), answer.size());
        stream->write_all(aio);
        CHECK_FALSE(aio.wait());
        CHECK(aio.count() == answer.size());
        stream.reset();
        engine.run_once(milliseconds(100));
        kernel.advance(milliseconds(100));
        CHECK(peer.received() == answer);
        CHECK(peer.saw_fin());
    }
    CHECK(kernel.open_descriptors() == 0);
    CHECK(kernel.pending_operations() == 0);
    CHECK(kernel.counters().without_nosignal == 0);
}

TEST_CASE("sim engine: operations end, and the engine too, at the last time of the clock") {
    SimKernel kernel(1);
    SimListener& server = kernel.listen_peer();
    Ended closed;
    StreamPtr stream;
    {
        Engine engine(kernel);
        Operation operation(engine);
        tcp::connect(Endpoint::loopback(server.port()), {}, operation.aio, stream);
        REQUIRE(!operation.aio.wait());
        kernel.advance(std::chrono::nanoseconds::max());
        CHECK(engine.now() == Clock::time_point::max());
        char bytes[8];
        operation.forget();
        operation.aio.set_iov(bytes, sizeof bytes);
        stream->read_all(operation.aio);
        engine.run_once({});
        operation.aio.cancel();
        CHECK(operation.aio.wait() == Errc::canceled);
        Aio& left = one_shot(engine, closed);
        left.set_iov(bytes, sizeof bytes);
        stream->read_all(left);
        engine.run_once({});
    }
    CHECK(closed == failure(Errc::closed));
    CHECK(kernel.pending_operations() == 0);
}

TEST_CASE("sim engine: a connect reaches a simulated server, and a read expires") {
    SimKernel kernel(1);
    {
        Engine engine(kernel);
        SimListener& server = kernel.listen_peer();
        server.read_nothing();
        server.set_window(1000);
        StreamPtr stream;
        Aio aio(engine);
        tcp::connect(Endpoint::loopback(server.port()), {}, aio, stream);
        REQUIRE_FALSE(aio.wait());
        const std::string bytes(5000, 'x');
        aio.set_iov(bytes.data(), bytes.size());
        aio.set_timeout(std::chrono::hours(1));
        const Clock::time_point start = kernel.now();
        stream->write_all(aio);
        CHECK(aio.wait() == Errc::timed_out);
        CHECK(aio.count() == 1000);
        CHECK(kernel.now() == start + std::chrono::hours(1));
    }
    CHECK(kernel.open_descriptors() == 0);
    CHECK(kernel.pending_operations() == 0);
}

TEST_CASE("sim engine: a unix listener creates no file") {
    SimKernel kernel(1);
    {
        Engine engine(kernel);
        local::Listener listener(engine, "/no/such/folder/socket");
        SimPeer& peer = kernel.connect_peer("/no/such/folder/socket");
        StreamPtr stream;
        Aio aio(engine);
        listener.accept(aio, stream);
        REQUIRE_FALSE(aio.wait());
        char bytes[2];
        aio.set_iov(bytes, sizeof bytes);
        peer.send("ok");
        stream->read_all(aio);
        CHECK_FALSE(aio.wait());
    }
    CHECK(kernel.open_descriptors() == 0);
}

// Found by `./dev sim`: an operation completed while its cancel was in flight, its Aio was freed,
// and the next one had the same address and the same count of begun operations.
TEST_CASE("sim engine: a late cancel does not affect another Aio at the same address") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SimKernel kernel(seed,
                         {.late_cancel = 500, .reorder = 500, .latency_max = milliseconds(3)});
        Engine engine(kernel);
        tcp::Listener listener(engine, Endpoint::loopback(0));
        SimPeer& peer = kernel.connect_peer(listener.local_endpoint().port());
        StreamPtr stream;
        Aio accepting(engine);
        listener.accept(accepting, stream);
        REQUIRE_FALSE(accepting.wait());
        alignas(Aio) std::byte memory[sizeof(Aio)];
        char byte = 0;
        for (int round = 0; round < 10; ++round) {
            Aio* aio = new (memory) Aio(engine);
            aio->set_iov(&byte, 1);
            stream->read(*aio);
            engine.run_once(milliseconds(0));
            peer.send("x");
            aio->cancel();
            while (aio->busy())
                engine.run_once(milliseconds(1));
            const bool read = !aio->result();
            aio->~Aio();
            aio = new (memory) Aio(engine);
            aio->set_iov(&byte, 1);
            if (read) peer.send("x");
            stream->read(*aio);
            INFO("seed ", seed, ", round ", round);
            CHECK_FALSE(aio->wait());
            aio->~Aio();
        }
    }
}

}  // namespace uaio::sim_engine_test
