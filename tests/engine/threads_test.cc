// Verbs, cancels, waits and stops from many threads, for the thread sanitizer too.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"
#include "tests/support/threaded.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::threads_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE(
    "a timeout may be set on another thread while an operation starts and runs (W-26)", Kernel,
    OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    Aio aio(io.engine());
    for (int round = 0; round < 200; ++round) {
        submit_parked(aio);
        aio.set_timeout(0ns);  // for the next, not for this one
        aio.set_timeout(kNoTimeout);
        aio.cancel();
        REQUIRE(aio.wait() == Errc::canceled);
    }
    submit_parked(aio);
    aio.set_timeout(0ns);
    aio.cancel();
    CHECK(aio.wait() == Errc::canceled);
    submit_nop(aio);
    CHECK(aio.wait() == Errc::timed_out);
}

TEST_CASE_TEMPLATE("writes of 8 threads never interleave (W-45, rule 3)", Kernel, OnLinux, OnPoll) {
    constexpr std::size_t kWrites = 6;
    constexpr std::size_t kSize = 300'000;
    Threaded threaded(Kernel::kKind);
    std::vector<std::unique_ptr<Operation>> writes(kThreads * kWrites);
    std::vector<std::string> bodies(kThreads);
    for (unsigned i = 0; i < kThreads; ++i)
        bodies[i] = std::string(kSize, static_cast<char>('a' + i));
    std::thread writers([&] {
        on_threads([&](unsigned thread) {
            for (std::size_t i = 0; i < kWrites; ++i) {
                auto& write = writes[thread * kWrites + i];
                write = std::make_unique<Operation>(threaded.io.engine(), bodies[thread]);
                threaded.connection->write_all(write->aio);
            }
        });
    });
    threaded.read_until(writes.size() * kSize, [] { return false; });
    writers.join();
    for (const auto& write : writes) {
        CHECK(!write->aio.wait());
        CHECK(write->ended() == success(kSize));
    }
    const std::string& got = threaded.peer->received();
    REQUIRE(got.size() == writes.size() * kSize);
    std::vector<std::size_t> blocks(kThreads, 0);
    for (std::size_t at = 0; at < got.size(); at += kSize) {
        const auto thread = static_cast<std::size_t>(got[at] - 'a');
        REQUIRE(thread < kThreads);
        CHECK(got.compare(at, kSize, bodies[thread]) == 0);
        ++blocks[thread];
    }
    CHECK(std::ranges::all_of(blocks, [](std::size_t count) { return count == kWrites; }));
}

TEST_CASE_TEMPLATE("random cancels of 8 threads end each operation once (W-51)", Kernel, OnLinux,
                   OnPoll) {
    const int kRounds = kSanitized ? 60 : 300;
    EngineThread io(options_on(Kernel::kKind));
    std::atomic<int> failures{0};
    on_threads([&](unsigned thread) {
        std::minstd_rand random(thread + 1);
        for (int round = 0; round < kRounds; ++round) {
            Operation operation(io.engine());
            const bool parked = random() % 2 == 0;
            if (random() % 4 == 0) operation.aio.set_timeout(1us * (random() % 200));
            parked ? submit_parked(operation.aio) : submit_nop(operation.aio);
            for (auto spins = random() % 300; spins > 0; --spins)
                static_cast<void>(operation.done());
            if (random() % 3 == 0) {
                operation.aio.abort(Errc::truncated);
                operation.aio.cancel();
            } else {
                operation.aio.cancel();
            }
            const std::error_code error = operation.aio.wait();
            const Ended ended = operation.ended();
            const bool known = error == Errc::canceled || error == Errc::truncated ||
                               error == Errc::timed_out || (!error && !parked);
            if (ended.calls != 1 || ended.error != error || !known) ++failures;
        }
    });
    CHECK(failures == 0);
    CHECK(io.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("writes cancelled by other threads count exactly what the peer got (W-51)",
                   Kernel, OnLinux, OnPoll) {
    std::minstd_rand random(3);
    const std::string payload = pattern(2 << 20);
    std::optional<Threaded> threaded;
    bool over = true;
    int canceled = 0;
    for (int round = 0; round < (kSanitized ? 40 : 200); ++round) {
        if (over) threaded.emplace(Kernel::kKind);
        const std::size_t before = threaded->peer->received().size();
        const std::size_t size = 1 + random() % payload.size();
        Operation write(threaded->io.engine(), std::string_view(payload).substr(0, size));
        const auto spins = random() % 20'000;
        std::thread canceler([&] {
            for (auto i = spins; i > 0; --i)
                static_cast<void>(write.done());
            write.aio.cancel();
        });
        threaded->connection->write_all(write.aio);
        canceler.join();
        write.aio.cancel();
        threaded->read_until(RawPeer::kEverything, [&] { return write.done(); });
        static_cast<void>(write.aio.wait());
        const Ended ended = write.ended();
        REQUIRE(ended.calls == 1);
        CHECK((ended.error ? ended.error == Errc::canceled : ended.count == size));
        canceled += ended.error == Errc::canceled;
        over = ended.error && ended.count > 0;
        threaded->read_until(over ? RawPeer::kEverything : before + ended.count,
                             [] { return false; });
        const std::string& got = threaded->peer->received();
        CHECK(got.size() == before + ended.count);
        CHECK(got.compare(before, got.npos, payload, 0, ended.count) == 0);
    }
    CHECK(canceled > 0);
}

TEST_CASE_TEMPLATE("several threads can wait for one Aio", Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    for (int round = 0; round < 20; ++round) {
        Operation parked(io.engine());
        submit_parked(parked.aio);
        std::atomic<unsigned> woken{0};
        std::vector<std::thread> waiters;
        for (unsigned i = 0; i < kThreads; ++i) {
            waiters.emplace_back([&, i] {
                const bool ok = i % 2 ? parked.aio.wait() == Errc::canceled
                                      : parked.aio.wait_until(Clock::now() + kPatience);
                if (ok && parked.done()) ++woken;
            });
        }
        if (round % 2 == 0) CHECK(!parked.aio.wait_until(Clock::now() + 1ms));
        parked.aio.cancel();
        for (std::thread& waiter : waiters)
            waiter.join();
        CHECK(woken == kThreads);
    }
}

TEST_CASE_TEMPLATE("a wait on another thread lasts to the end of the callback", Kernel, OnLinux,
                   OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    for (int round = 0; round < 200; ++round) {
        int written_in_callback = 0;  // the sanitizer reports a race if wait() returns too early
        Aio nop(io.engine(), [&](Aio&) {
            for (int i = 0; i < 100; ++i)
                ++written_in_callback;
        });
        submit_nop(nop);
        REQUIRE(!nop.wait());
        CHECK(written_in_callback == 100);
    }
}

TEST_CASE_TEMPLATE("a wait on another thread lasts to the end of a chain of operations", Kernel,
                   OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    int left = 10'000;
    Aio chain(io.engine(), [&left](Aio& self) {
        if (--left > 0) submit_nop(self);
    });
    submit_nop(chain);
    CHECK(!chain.wait());
    CHECK(left == 0);
}

TEST_CASE_TEMPLATE("a busy Aio destroyed on another thread ends by its callback", Kernel, OnLinux,
                   OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    std::atomic<unsigned> calls{0};
    std::atomic<unsigned> others{0};
    on_threads([&](unsigned) {
        for (int round = 0; round < 50; ++round) {
            Aio parked(io.engine(), [&](Aio& self) {
                ++calls;
                if (self.result() != Errc::closed) ++others;
            });
            submit_parked(parked);
        }
    });
    CHECK(calls == kThreads * 50);
    CHECK(others == 0);
}

TEST_CASE_TEMPLATE("stop on another thread ends the running operation and refuses later ones",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    on_threads([&](unsigned) {
        for (int round = 0; round < 20; ++round) {
            Operation parked(io.engine());
            submit_parked(parked.aio);
            parked.aio.stop();
            const bool first = parked.aio.wait() == Errc::canceled;
            submit_nop(parked.aio);
            const bool second = parked.aio.wait() == Errc::canceled;
            if (!first || !second) throw std::logic_error("the operation was not canceled");
        }
    });
    CHECK(io.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("8 threads open, use and close connections at the same time", Kernel, OnLinux,
                   OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    Engine& engine = io.engine();
    tcp::Listener listener(engine, Endpoint::loopback(0));
    std::atomic<unsigned> failures{0};
    on_threads([&](unsigned thread) {
        const std::string payload(10'000 + thread, 'x');
        for (int round = 0; round < (kSanitized ? 5 : 20); ++round) {
            StreamPtr server, client;
            Aio accept(engine), connect(engine), write(engine), read(engine);
            listener.accept(accept, server);
            tcp::connect(listener.local_endpoint(), {}, connect, client);
            if (connect.wait() || accept.wait()) ++failures;
            std::string in(payload.size(), '\0');
            write.set_iov(payload.data(), payload.size());
            client->write_all(write);
            if (write.wait() || write.count() != payload.size()) ++failures;
            if (round % 2) client->close();
            client.reset();
            // The other end may belong to another thread's connection.
            read.set_iov(in.data(), in.size());
            server->read_all(read);
            const std::error_code error = read.wait();
            if (error && error != Errc::end_of_stream) ++failures;
            if (read.count() < 10'000) ++failures;
        }
    });
    CHECK(failures == 0);
    CHECK(engine.statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("an engine runs the posts of 8 threads once, in order for each thread", Kernel,
                   OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    constexpr int kPosts = 500;
    std::vector<int> next(kThreads, 0);
    std::atomic<int> ran{0};
    bool in_order = true;
    on_threads([&](unsigned thread) {
        for (int number = 0; number < kPosts; ++number) {
            io.engine().post([&, thread, number] {
                in_order &= next[thread]++ == number;
                ++ran;
            });
        }
    });
    // After all other entries of the mailbox.
    Aio last(io.engine());
    submit_nop(last);
    REQUIRE(!last.wait());
    CHECK(ran == kPosts * static_cast<int>(kThreads));
    CHECK(in_order);
}

TEST_CASE_TEMPLATE("no wake is lost while an engine prepares to sleep", Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    Operation nop(io.engine());
    for (int round = 0; round < (kSanitized ? 2'000 : 10'000); ++round) {
        submit_nop(nop.aio);
        REQUIRE(nop.aio.wait_until(Clock::now() + kPatience));
    }
    CHECK(nop.ended().calls == (kSanitized ? 2'000u : 10'000u));
}

TEST_CASE_TEMPLATE("one Aio may be used by one thread after another", Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    Operation nop(io.engine());
    for (int round = 0; round < 50; ++round) {
        std::thread([&] {
            submit_nop(nop.aio);
            static_cast<void>(nop.aio.wait());
        }).join();
    }
    CHECK(nop.ended().calls == 50);
}

}  // namespace uaio::threads_test
