// The loop of an Engine: turns, posts, waiting, and the lifetime of Aios in callbacks.
#include <uaio/engine_group.h>
#include <uaio/provider.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"
#include "tests/support/raw_peer.h"

#include <atomic>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::engine_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("run returns after stop, and so does every later run", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    int runs = 0;
    engine.post([&] {
        ++runs;
        engine.stop();
    });
    engine.run();
    CHECK(runs == 1);
    engine.post([&] { ++runs; });
    engine.run();  // stopped already
    CHECK(runs == 1);
    engine.run_once(0ns);  // manual turns still work
    CHECK(runs == 2);
}

TEST_CASE_TEMPLATE("run returns at once after an earlier stop", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.stop();
    engine.run();
    CHECK(engine.on_engine_thread());
}

// Whether stop() on another thread ends the run() of an engine that is waiting for work.
bool stop_wakes(Engine& engine) {
    engine.run_once(0ns);
    engine.run_once(0ns);
    const std::uint64_t before = engine.statistics().enters;
    std::atomic<bool> returned = false;
    bool woken = false;
    std::thread stopper([&] {
        // The loop is idle, so that it waits whenever it enters the kernel.
        while (engine.statistics().enters == before)
            std::this_thread::yield();
        engine.stop();
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!returned && Clock::now() < limit)
            std::this_thread::yield();
        woken = returned;
        engine.post([] {});  // wakes the loop if stop() failed to
    });
    engine.run();
    returned = true;
    stopper.join();
    return woken;
}

TEST_CASE_TEMPLATE("stop from another thread wakes a loop that waits", Kernel, OnLinux, OnPoll) {
    // Repeated: an earlier engine's io_uring may interrupt a wait as it ends.
    for (int round = 0; round < 5; ++round) {
        Engine engine(options_on(Kernel::kKind));
        REQUIRE(stop_wakes(engine));
    }
}

TEST_CASE_TEMPLATE("run_once with a wait of 0 returns at once", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    CHECK(engine.run_once(0ns) == 0);
    CHECK(engine.run_once(-5ns) == 0);
    Operation nop(engine);
    REQUIRE(submit_nop(nop.aio));
    CHECK(nop.ended() == kPending);
    CHECK(engine.run_once(0ns) == 1);
    CHECK(nop.ended() == success(0));
    CHECK(engine.run_once(0ns) == 0);
}

TEST_CASE_TEMPLATE("an idle run_once waits for its timeout", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    for (const std::chrono::nanoseconds wait : {100'000ns, 5'000'000ns, 20'000'000ns}) {
        const Clock::time_point begin = Clock::now();
        int turns = 0;
        do {
            CHECK(engine.run_once(begin + wait - Clock::now()) == 0);
            ++turns;
        } while (Clock::now() < begin + wait);
        CHECK(turns <= 3);  // a signal may end one early
        CHECK(Clock::now() < begin + wait + kPatience);
    }
}

TEST_CASE("run_once in virtual time waits until its timeout or the next deadline") {
    SimKernel kernel(1);
    Engine engine(kernel);
    engine.run_once(0ns);
    Clock::time_point begin = engine.now();
    CHECK(engine.run_once(1h) == 0);
    CHECK(engine.now() - begin == 1h);
    Operation parked(engine);
    parked.aio.set_timeout(2ms);
    REQUIRE(submit_parked(parked.aio));
    begin = engine.now();
    int turns = 0;
    for (; !parked.done(); ++turns)
        engine.run_once(1h);
    CHECK(turns <= 6);  // the timer wheel may run a turn a little early
    CHECK(engine.now() - begin >= 2ms);
    CHECK(engine.now() - begin < 2ms + 10us);
    CHECK(parked.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("run_once returns when an operation completes", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    Operation nop(engine);
    Operation parked(engine);
    parked.aio.set_timeout(2ms);
    const Clock::time_point begin = Clock::now();
    REQUIRE(submit_nop(nop.aio));
    REQUIRE(submit_parked(parked.aio));
    int turns = 0;
    for (const Operation* const operation : {&nop, &parked}) {
        while (!operation->done()) {
            engine.run_once(kPatience);
            ++turns;
        }
    }
    CHECK(turns <= 5);  // a signal may end one early
    CHECK(Clock::now() - begin >= 2ms);
    CHECK(Clock::now() - begin < kPatience);
    CHECK(nop.ended() == success(0));
    CHECK(parked.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("run_once returns without waiting after it has run a task", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    bool ran = false;
    engine.post([&] { ran = true; });
    const Clock::time_point begin = Clock::now();
    CHECK(engine.run_once(60s) == 0);
    CHECK(ran);
    CHECK(Clock::now() - begin < 30s);
}

TEST_CASE_TEMPLATE("the engine runs posts and verbs of one thread in order", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    std::string order;
    struct Context {
        std::string* order;
        char name;
    };
    Context contexts[] = {{&order, 'a'}, {&order, 'c'}};
    Aio first(engine);
    Aio second(engine);
    const auto submit = [&engine](Aio& aio, Context& context) {
        Provider::submit(
            engine, aio,
            [](Aio& started) noexcept {
                Context& mine = *static_cast<Context*>(Provider::owner(started));
                *mine.order += mine.name;
                Provider::finish(started);
            },
            &context);
    };
    std::thread other([&] {
        submit(first, contexts[0]);
        engine.post([&] { order += 'b'; });
        submit(second, contexts[1]);
        engine.post([&] { order += 'd'; });
    });
    other.join();
    while (first.busy() || second.busy())
        engine.run_once(1ms);
    engine.run_once(0ns);
    CHECK(order == "abcd");
}

TEST_CASE_TEMPLATE("a task that a task posts runs in a later turn", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    int depth = 0;
    struct Again {
        Engine* engine;
        int* depth;
        void operator()() const {
            if (++*depth < 100) engine->post(*this);
        }
    };
    engine.post(Again{&engine, &depth});
    const std::uint64_t before = engine.statistics().turns;
    while (depth < 100)
        engine.run_once(0ns);
    CHECK(engine.statistics().turns - before >= 100);
}

TEST_CASE_TEMPLATE("run fails on a second thread and inside a callback", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    const auto refusal = [&](void (*run)(Engine&)) -> std::error_code {
        try {
            run(engine);
        } catch (const std::system_error& error) {
            return error.code();
        }
        return {};
    };
    const auto check_both = [&] {
        CHECK(refusal([](Engine& e) { e.run(); }) == Errc::resource_deadlock_would_occur);
        CHECK(refusal([](Engine& e) { e.run_once(0ns); }) == Errc::resource_deadlock_would_occur);
    };
    std::thread other([&] {
        check_both();
        CHECK(!engine.on_engine_thread());
    });
    other.join();
    CHECK(engine.on_engine_thread());
    bool called = false;
    Aio nop(engine, [&](Aio&) {
        called = true;
        check_both();
    });
    REQUIRE(submit_nop(nop));
    REQUIRE(!nop.wait());
    CHECK(called);
    engine.post(check_both);
    engine.run_once(0ns);
}

TEST_CASE_TEMPLATE("wait inside a callback or a task returns at once with an error", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Operation parked(engine);
    REQUIRE(submit_parked(parked.aio));
    int checks = 0;
    const auto check = [&] {
        CHECK(parked.aio.wait() == Errc::resource_deadlock_would_occur);
        CHECK(!parked.aio.wait_until(Clock::now() + 1h));
        ++checks;
    };
    Aio nop(engine, [&](Aio& self) {
        check();
        CHECK(self.wait() == Errc::resource_deadlock_would_occur);
    });
    REQUIRE(submit_nop(nop));
    engine.post(check);
    REQUIRE(!nop.wait());
    CHECK(checks == 2);
    CHECK(parked.ended() == kPending);
    parked.aio.cancel();
    CHECK(parked.aio.wait() == Errc::canceled);
}

TEST_CASE_TEMPLATE("wait_until returns whether the operation has ended", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Operation parked(engine);
    REQUIRE(submit_parked(parked.aio));
    const Clock::time_point begin = Clock::now();
    CHECK(!parked.aio.wait_until(begin - 1s));
    CHECK(!parked.aio.wait_until(begin + 5ms));
    CHECK(Clock::now() >= begin + 5ms);
    parked.aio.abort(Errc::truncated);
    CHECK(parked.aio.wait_until(Clock::now() + kPatience));
    CHECK(parked.ended() == failure(Errc::truncated));
    CHECK(parked.aio.wait_until(begin));
}

TEST_CASE_TEMPLATE("wait lasts to the end of a chain of 10000 operations", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    int left = 10'000;
    Aio nop(engine, [&left](Aio& self) {
        if (--left > 0) submit_nop(self);
    });
    REQUIRE(submit_nop(nop));
    REQUIRE(!nop.wait());
    CHECK(left == 0);
    CHECK(!nop.busy());
    CHECK(engine.statistics().operations == 10'000);
}

TEST_CASE_TEMPLATE("a chain of operations that complete at once does not starve the loop", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    bool posted_ran = false;
    const auto finish_at_once = [](Aio& aio) noexcept { Provider::finish(aio); };
    std::uint64_t rounds = 0;
    Aio chain(engine, [&](Aio& self) {
        ++rounds;
        if (!posted_ran) Provider::submit(engine, self, finish_at_once, nullptr);
    });
    Provider::submit(engine, chain, finish_at_once, nullptr);
    engine.run_once(0ns);
    engine.post([&] { posted_ran = true; });
    REQUIRE(!chain.wait());
    CHECK(rounds < 100);
}

TEST_CASE_TEMPLATE("an Aio may be destroyed in its own callback", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    int calls = 0;
    for (int i = 0; i < 100; ++i) {
        Aio* const aio = new Aio(engine, [&calls](Aio& self) {
            ++calls;
            delete &self;
        });
        if (i % 2 == 0) {
            submit_nop(*aio);
        } else {
            submit_parked(*aio);
            aio->cancel();
        }
    }
    while (calls < 100)
        engine.run_once(1ms);
    CHECK(engine.statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("the destructor of a busy Aio waits for its callback", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Ended seen;
    {
        Aio parked(engine, [&seen](Aio& aio) {
            seen = {seen.calls + 1, aio.result(), aio.count()};
        });
        REQUIRE(submit_parked(parked));
    }
    CHECK(seen == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("the first of several cancels wins", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    for (const bool from_other_thread : {false, true}) {
        Operation parked(engine);
        REQUIRE(submit_parked(parked.aio));
        engine.run_once(0ns);
        const auto cancel = [&] {
            parked.aio.abort(Errc::truncated);
            parked.aio.cancel();
            parked.aio.abort(Errc::proxy_refused);
            parked.aio.stop();
        };
        if (from_other_thread) {
            std::thread(cancel).join();
        } else {
            cancel();
        }
        CHECK(parked.aio.wait() == Errc::truncated);
        CHECK(parked.ended() == failure(Errc::truncated));
    }
}

TEST_CASE_TEMPLATE("a cancel from another thread does not reach the next operation", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    for (int round = 0; round < 100; ++round) {
        unsigned calls = 0;
        bool was_busy = false;
        std::error_code first_end;
        Aio* target = nullptr;
        Aio before(engine, [&](Aio&) {
            was_busy = target->busy();
            std::thread([&] { target->cancel(); }).join();
        });
        Aio aio(engine, [&](Aio& self) {
            if (++calls > 1) return;
            first_end = self.result();
            submit_parked(self);
        });
        target = &aio;
        // Both complete in one turn: the cancel comes between the two callbacks, and is delivered
        // in the next turn, after its Aio has been submitted again.
        REQUIRE(submit_nop(before));
        REQUIRE(submit_nop(aio));
        while (calls == 0)
            engine.run_once(0ns);
        CHECK(was_busy);
        CHECK(!first_end);
        engine.run_once(0ns);
        engine.run_once(0ns);
        REQUIRE(calls == 1);
        aio.abort(Errc::truncated);
        REQUIRE(aio.wait() == Errc::truncated);
    }
}

TEST_CASE_TEMPLATE("a cancel from another thread takes effect before its operation has started",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    Operation parked(engine);
    std::thread([&] {
        submit_parked(parked.aio);
        parked.aio.cancel();
    }).join();
    CHECK(parked.aio.busy());
    CHECK(parked.aio.wait() == Errc::canceled);
    CHECK(parked.ended() == failure(Errc::canceled));
}

TEST_CASE_TEMPLATE("an engine reports its time and its kernel", Kernel, OnLinux, OnPoll) {
    const EngineOptions options = options_on(Kernel::kKind);
    const Engine engine(options);
    CHECK(engine.kernel() == options.kernel);
    CHECK(!engine.kernel_reason().empty());
    const Clock::time_point before = Clock::now();
    const Clock::time_point now = engine.now();
    CHECK((before <= now && now <= Clock::now()));
}

TEST_CASE("an EngineThread runs its engine until it is destroyed") {
    for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
        EngineThread io(options_on(kind));
        CHECK(!io.engine().on_engine_thread());
        Operation nop(io.engine());
        REQUIRE(submit_nop(nop.aio));
        CHECK(!nop.aio.wait());
        CHECK(nop.ended() == success(0));
        bool on_thread = false;
        Aio parked(io.engine(), [&](Aio&) { on_thread = io.engine().on_engine_thread(); });
        REQUIRE(submit_parked(parked));
        CHECK(!parked.wait_until(Clock::now() + 2ms));
        parked.cancel();
        CHECK(parked.wait() == Errc::canceled);
        CHECK(on_thread);
    }
}

TEST_CASE("an EngineGroup has the requested number of engines, by default one a processor") {
    EngineGroup three(3, options_on(KernelKind::epoll));
    CHECK(three.size() == 3);
    for (std::size_t i = 0; i < three.size(); ++i) {
        Aio nop(three.engine(i));
        REQUIRE(submit_nop(nop));
        CHECK(!nop.wait());
    }
    const EngineGroup all(0, options_on(KernelKind::epoll));
    CHECK(all.size() >= 1);
    CHECK(all.size() <= std::thread::hardware_concurrency());
}

// Linux 6.18 loses a cancel that meets a send with MSG_WAITALL queued for a retry; the write would
// stay pending until the peer reads.
TEST_CASE("the engine repeats a cancel that misses a write between two attempts of the kernel") {
    int lost = 0;
    for (int round = 0; round < 40; ++round) {
        Engine engine(options_on(KernelKind::io_uring));
        tcp::ListenOptions options;
        options.stream.send_buffer = round % 2 ? 2'000 : 32'000;
        tcp::Listener listener(engine, Endpoint::loopback(0), options);
        Aio accept(engine);
        StreamPtr stream;
        listener.accept(accept, stream);
        RawPeer peer = RawPeer::connect_tcp(listener.local_endpoint());
        REQUIRE(!accept.wait());
        const std::string payload(64 << 20, 'x');
        Operation write(engine, payload);
        stream->write_all(write.aio);
        for (int turn = 0; turn < 2 + round / 2 % 3; ++turn) {
            engine.run_once(0ns);
            peer.read_some(200'000);
        }
        write.aio.cancel();
        if (!write.aio.wait_until(Clock::now() + std::chrono::seconds(10))) {
            ++lost;
            peer.reset();
            static_cast<void>(write.aio.wait());
        }
    }
    CHECK(lost == 0);
}

}  // namespace uaio::engine_test
