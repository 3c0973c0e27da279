// Tasks alone: how they start, return values, resume and stop. await_test.cc tests what they await.
#include <uaio/await.h>
#include <uaio/engine_group.h>
#include <uaio/task.h>

#include "tests/support/allocations.h"
#include "tests/support/child_process.h"
#include "tests/support/kernels.h"

#include <array>
#include <atomic>
#include <csignal>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::task_test {

using namespace std::chrono_literals;

Task<int> number(int value) { co_return value; }

Task<int> fail(const char* what) {
    throw std::runtime_error(what);
    co_return 0;
}

Task<> note(bool& ran) {
    ran = true;
    co_return;
}

TEST_CASE("a task starts when it is awaited and returns its value") {
    Engine engine(options_on(KernelKind::epoll));
    const auto sum = [](bool& ran) -> Task<int> {
        Task<int> three = number(3);
        Task<> later = note(ran);
        const int four = co_await number(4);
        CHECK(!ran);
        co_await std::move(later);
        CHECK(ran);
        co_return four + co_await std::move(three);
    };
    bool ran = false;
    CHECK(sync_wait(engine, sum(ran)) == 7);
}

TEST_CASE("a task that never starts releases its arguments when it is destroyed") {
    const auto watched = std::make_shared<int>(0);
    const auto hold = [](std::shared_ptr<int> held) -> Task<> {
        ++*held;
        co_return;
    };
    {
        const Task<> dropped = hold(watched);
        CHECK(watched.use_count() == 2);
        Task<> replaced = hold(watched);
        replaced = hold(watched);
    }
    CHECK(watched.use_count() == 1);
    CHECK(*watched == 0);
}

TEST_CASE("a task returns values that are move-only or have no default constructor") {
    struct Named {
        explicit Named(std::string given) : name(std::move(given)) {}
        Named(Named&&) = default;
        std::string name;
    };
    Engine engine(options_on(KernelKind::epoll));
    const auto make_pointer = []() -> Task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(5);
    };
    const auto make_named = []() -> Task<Named> { co_return Named("tail"); };
    const auto make_vector = []() -> Task<std::vector<int>> { co_return {1, 2, 3}; };
    CHECK(*sync_wait(engine, make_pointer()) == 5);
    CHECK(sync_wait(engine, make_named()).name == "tail");
    CHECK(sync_wait(engine, make_vector()).size() == 3);
}

TEST_CASE("an exception propagates through the awaiting tasks to sync_wait") {
    Engine engine(options_on(KernelKind::epoll));
    const auto pass = [](bool& reached) -> Task<int> {
        const int value = co_await fail("deep down");
        reached = true;
        co_return value;
    };
    const auto handle = []() -> Task<std::string> {
        try {
            co_await fail("handled");
        } catch (const std::runtime_error& error) {
            co_return error.what();
        }
        co_return "";
    };
    bool reached = false;
    CHECK_THROWS_WITH_AS(sync_wait(engine, pass(reached)), "deep down", std::runtime_error);
    CHECK(!reached);
    CHECK(sync_wait(engine, handle()) == "handled");
}

TEST_CASE("an exception that leaves a detached task ends the program") {
    const ChildEnd end = run_in_child([] {
        Engine engine(options_on(KernelKind::epoll));
        spawn(engine, fail("not awaited"));
        for (int turn = 0; turn < 10; ++turn)
            engine.run_once(0ns);
        return std::string("the task continued");
    });
    CHECK(end.signal == SIGABRT);
}

TEST_CASE_TEMPLATE("spawn starts a task from the loop and passes its result to the callback",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    bool ran = false;
    bool succeeded = false;
    int value = 0;
    std::string what;
    spawn(engine, note(ran), [&](TaskResult<void> result) { succeeded = !result.exception(); });
    spawn(engine, number(9), [&](TaskResult<int> result) { value = result.get(); });
    spawn(engine, fail("reported"), [&](TaskResult<int> result) {
        CHECK(result.exception());
        try {
            result.get();
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
    });
    CHECK(!ran);
    for (int turn = 0; turn < 10 && what.empty(); ++turn)
        engine.run_once(0ns);
    CHECK(ran);
    CHECK(succeeded);
    CHECK(value == 9);
    CHECK(what == "reported");
}

TEST_CASE("the frame of a spawned task is destroyed before its callback runs") {
    Engine engine(options_on(KernelKind::epoll));
    const auto watched = std::make_shared<int>(0);
    const auto hold = [](std::shared_ptr<int> held) -> Task<> {
        co_await delay(0ns);
        static_cast<void>(held);
    };
    long left = 0;
    spawn(engine, hold(watched), [&](TaskResult<void>) { left = watched.use_count(); });
    for (int turn = 0; turn < 10 && left == 0; ++turn)
        engine.run_once(0ns);
    CHECK(left == 1);
}

TEST_CASE("a spawned task allocates its frame and one block, and frees both") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(KernelKind::epoll));
    std::uint64_t taken = 0;
    std::int64_t left = 0;
    for (int round = 0; round < 2; ++round) {  // an engine's first turn allocates
        bool ran = false;
        const std::int64_t live = live_allocations();
        const std::uint64_t before = thread_allocations();
        spawn(engine, note(ran));
        taken = thread_allocations() - before;
        for (int turn = 0; turn < 10; ++turn)
            engine.run_once(0ns);
        CHECK(ran);
        left = live_allocations() - live;
    }
    CHECK(taken == 2);
    CHECK(left == 0);
}

TEST_CASE("a loop over tasks that never suspend uses constant stack") {
    Engine engine(options_on(KernelKind::epoll));
    const auto add_up = []() -> Task<long> {
        long sum = 0;
        for (int i = 0; i < 300'000; ++i)
            sum += co_await number(1);
        co_return sum;
    };
    CHECK(sync_wait(engine, add_up()) == 300'000);
}

TEST_CASE("a loop over tasks that suspend uses constant stack") {
    Engine engine(options_on(KernelKind::epoll));
    const auto wait = []() -> Task<int> {
        co_await delay(0ns);
        co_return 1;
    };
    const auto add_up = [](Task<int> (*step)()) -> Task<long> {
        long sum = 0;
        for (int i = 0; i < 100'000; ++i)
            sum += co_await step();
        co_return sum;
    };
    CHECK(sync_wait(engine, add_up(wait)) == 100'000);
}

TEST_CASE("a task that another thread spawns runs on its engine's thread") {
    EngineThread io(options_on(KernelKind::automatic));
    const auto look = []() -> Task<bool> {
        Engine& engine = co_await this_engine();
        const bool at_first = engine.on_engine_thread();
        co_await delay(1us);
        co_return at_first&& engine.on_engine_thread();
    };
    CHECK(sync_wait(io.engine(), look()));
    bool there = false;
    std::thread([&] { there = sync_wait(io.engine(), look()); }).join();
    CHECK(there);
}

TEST_CASE("tasks of one thread start in the order in which they were spawned") {
    EngineThread io(options_on(KernelKind::automatic));
    std::vector<int> order;
    const auto append = [](std::vector<int>& to, int what) -> Task<> {
        to.push_back(what);
        co_return;
    };
    for (int i = 0; i < 100; ++i)
        spawn(io.engine(), append(order, i));
    sync_wait(io.engine(), append(order, 100));
    REQUIRE(order.size() == 101);
    for (int i = 0; i <= 100; ++i)
        CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("many threads spawn tasks on one engine") {
    constexpr int kThreads = 4;
    constexpr int kTasks = 500;
    EngineThread io(options_on(KernelKind::automatic));
    std::atomic<int> ended{0};
    const auto work = [](int turns) -> Task<int> {
        for (int i = 0; i < turns; ++i)
            co_await delay(0ns);
        co_return turns;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            for (int task = 0; task < kTasks; ++task) {
                spawn(io.engine(), work(task % 3), [&](TaskResult<int>) { ++ended; });
            }
            CHECK(sync_wait(io.engine(), work(2)) == 2);
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    CHECK(ended == kThreads * kTasks);
}

TEST_CASE("sync_wait in a task of its own engine throws, and the task does not run") {
    Engine engine(options_on(KernelKind::epoll));
    bool ran = false;
    bool refused = false;
    engine.post([&] {
        try {
            sync_wait(engine, note(ran));
        } catch (const std::system_error& error) {
            refused = error.code() == Errc::resource_deadlock_would_occur;
        }
    });
    for (int turn = 0; turn < 10; ++turn)
        engine.run_once(0ns);
    CHECK(refused);
    CHECK(!ran);
}

Task<> hold(std::shared_ptr<int> held) {
    ++*held;
    co_return;
}

TEST_CASE("sync_wait throws if the engine ends before the task, which stays allocated") {
    const ChildEnd end = run_in_child([]() -> std::string {
        EngineOptions options = options_on(KernelKind::epoll);
        options.drain_timeout = 1ms;
        options.log = [](LogLevel, std::string_view) {};
        Engine engine(options);
        std::promise<void> runs;
        std::thread loop([&] {
            engine.post([&runs] { runs.set_value(); });
            engine.run();
        });
        runs.get_future().wait();
        // Awaits an operation that its provider does not end, and stops the engine meanwhile.
        const auto stuck = [](Engine& on) -> Task<> {
            co_await operation([&on](Aio& aio) {
                const Starter hold = [](Aio& started) noexcept {
                    Provider::park(started, [](Aio&) noexcept {});
                };
                Provider::submit(on, aio, hold, nullptr);
                on.stop();
            });
        };
        std::string failed = "sync_wait returned";
        try {
            sync_wait(engine, stuck(engine));
        } catch (const std::system_error& error) {
            failed = error.code() == Errc::engine_lost ? "" : error.what();
        }
        loop.join();
        return failed;
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("a task that is spawned on an engine whose thread has ended is destroyed") {
    EngineOptions options;
    options.log = [](LogLevel, std::string_view) {};
    Engine engine(options);
    std::thread([&engine] { engine.run_once(std::chrono::nanoseconds::zero()); }).join();
    const auto held = std::make_shared<int>(0);
    spawn(engine, hold(held), [held](TaskResult<void>) { ++*held; });
    CHECK(*held == 0);
    CHECK(held.use_count() == 1);
    CHECK_THROWS_AS(sync_wait(engine, hold(held)), std::system_error);
    CHECK(*held == 0);
    CHECK(held.use_count() == 1);
}

}  // namespace uaio::task_test
