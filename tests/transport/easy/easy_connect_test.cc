// The connects of an easy::Connection: cancelled at any step, replaced, short of memory; and its
// calls from other threads.
#include <uaio/argument_error.h>
#include <uaio/engine_group.h>

#include "tests/support/allocations.h"
#include "tests/support/easy_ends.h"

#include <array>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::easy_connect_test {

using namespace std::chrono_literals;

easy::Options quiet() {
    easy::Options options;
    options.proxy = "";
    return options;
}

TEST_CASE("easy: a connect cancelled at every step leaks nothing") {
    std::uint64_t last = 1;
    std::uint64_t canceled = 0;
    for (std::uint64_t step = 0; step <= last; ++step) {
        SimKernel kernel(step, {.late_cancel = 400});
        Engine engine(kernel);
        kernel.listen_peer(4000);
        bool over = false;
        {
            easy::Connection connection(engine);
            Operation connect(engine);
            connection.connect("tcp://127.0.0.1:4000", quiet(), connect.aio);
            kernel.at_step(step, [&] {
                if (!over) connect.aio.cancel();
            });
            static_cast<void>(connect.aio.wait());
            over = true;
            last = kernel.steps();
            REQUIRE(connect.ended().calls == 1);
            const bool connected = !connect.ended().error;
            REQUIRE((connected || connect.ended().error == Errc::canceled));
            canceled += !connected;
            const std::array<std::byte, 4> bytes{};
            const Transferred sent = connection.try_send(bytes);
            CHECK(sent == (connected ? transferred(4) : refused(Errc::not_connected)));
            CHECK((connection.native_handle() >= 0) == connected);
        }
        run_some(engine);
        CHECK(kernel.pending_operations() == 0);
    }
    CHECK(last > 3);
    CHECK(canceled >= last / 4);  // the kernel completes some before the cancel
}

TEST_CASE("easy: a second connect or a close ends the first connect with closed") {
    SimKernel kernel(1, {.latency_min = 1ms, .latency_max = 2ms});
    Engine engine(kernel);
    kernel.listen_peer(4000);
    easy::Connection connection(engine);
    Operation first(engine);
    Operation second(engine);
    Operation third(engine);
    connection.connect("tcp://127.0.0.1:4000", quiet(), first.aio);
    engine.run_once(0ns);
    connection.connect("tcp://127.0.0.1:4000", quiet(), second.aio);
    static_cast<void>(second.aio.wait());
    CHECK(second.ended() == success(0));
    static_cast<void>(first.aio.wait());
    CHECK(first.ended() == failure(Errc::closed));
    CHECK(connection.native_handle() >= 0);
    connection.connect("tcp://127.0.0.1:4000", quiet(), third.aio);
    CHECK(connection.native_handle() == -1);
    connection.close();
    static_cast<void>(third.aio.wait());
    CHECK(third.ended() == failure(Errc::closed));
    CHECK(connection.native_handle() == -1);
}

TEST_CASE("easy: a connect with a stopped or expired Aio keeps the old connection") {
    EasyEnds ends(OnSim::kKind);
    Operation late(ends.engine());
    Operation stopped(ends.engine());
    late.aio.set_timeout(0ns);
    stopped.aio.stop();
    ends.connection().connect(ends.place().url(), ends.options(), late.aio);
    ends.connection().connect(ends.place().url(), ends.options(), stopped.aio);
    REQUIRE(ends.run_until([&] { return late.done() && stopped.done(); }));
    CHECK(late.ended() == failure(Errc::timed_out));
    CHECK(stopped.ended() == failure(Errc::canceled));
    CHECK(ends.try_send("hello") == transferred(5));
}

TEST_CASE("easy: an Aio of another engine is refused") {
    EasyEnds ends(OnSim::kKind);
    SimKernel other_kernel(2);
    Engine other(other_kernel);
    Operation connect(other);
    Operation send(other, "hello");
    ends.connection().connect(ends.place().url(), ends.options(), connect.aio);
    ends.connection().send(send.aio);
    REQUIRE(run_until(other, [&] { return connect.done() && send.done(); }));
    CHECK(connect.ended() == failure(ArgumentErrc::wrong_engine));
    CHECK(send.ended() == failure(ArgumentErrc::wrong_engine));
    CHECK(ends.try_send("hello") == transferred(5));
}

TEST_CASE("easy: a connect with a failed allocation reports it, and the next one works") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    EasyEnds ends(OnSim::kKind);
    Operation connect(ends.engine());
    fail_next_allocation();
    ends.connection().connect(ends.place().url(), ends.options(), connect.aio);
    REQUIRE(ends.run_until_done(connect));
    CHECK(connect.ended() == failure(Errc::not_enough_memory));
    CHECK(ends.connect() == success(0));
}

TEST_CASE("easy: attempts on a socket allocate nothing") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    EasyEnds ends(KernelKind::automatic);
    std::array<std::byte, 64> bytes{};
    const std::uint64_t before = thread_allocations();
    const Transferred sent = ends.connection().try_send(bytes);
    const Transferred received = ends.connection().try_receive(bytes);
    CHECK(thread_allocations() == before);
    CHECK(sent == transferred(64));
    CHECK(received == kWouldBlock);
}

TEST_CASE("easy: every call works on another thread than the engine's") {
    EngineThread io;
    EasyPlace place(nullptr, false);
    easy::Connection connection(io.engine());
    std::array<std::byte, 5> bytes{std::byte{'h'}};
    CHECK(connection.try_send(bytes) == refused(Errc::not_connected));
    for (int round = 0; round < 2; ++round) {
        Operation connect(io.engine());
        connection.connect(place.url(), place.options(), connect.aio);
        REQUIRE(!connect.aio.wait());
        FarEnd peer = place.accept();
        CHECK(connection.native_handle() >= 0);
        CHECK(connection.try_receive(bytes) == kWouldBlock);
        CHECK(connection.try_send(bytes) == transferred(5));
        Operation wait(io.engine());
        connection.wait_for(Direction::receive, wait.aio);
        peer.send("world");
        CHECK(!wait.aio.wait());
        CHECK(connection.try_receive(bytes) == transferred(5));
        connection.close();
        Operation late(io.engine());
        connection.wait_for(Direction::send, late.aio);  // after the close
        CHECK(late.aio.wait() == Errc::not_connected);
        CHECK(connection.native_handle() == -1);
    }
}

TEST_CASE("easy: an attempt of another thread fails if no thread runs the engine") {
    EasyEnds ends(KernelKind::automatic);
    Transferred result;
    std::thread other([&] {
        std::array<std::byte, 5> bytes{};
        result = ends.connection().try_send(bytes);
    });
    other.join();
    CHECK(result == kWouldBlock);
    ends.run_some();  // nothing is sent belatedly
    CHECK(ends.peer().unread() == 0);
}

TEST_CASE("easy: a connection may be destroyed after its engine") {
    std::optional<Engine> engine(std::in_place);
    EasyPlace place(nullptr, false);
    easy::Connection connection(*engine);
    {
        Operation connect(*engine);
        connection.connect(place.url(), place.options(), connect.aio);
        REQUIRE(!connect.aio.wait());
    }
    engine.reset();
    std::array<std::byte, 5> bytes{};
    CHECK(connection.try_send(bytes) == refused(Errc::not_connected));
    CHECK(connection.native_handle() == -1);
    connection.close();
}

}  // namespace uaio::easy_connect_test
