// Threads that end before the engines they ran, and processes that exit with engines alive.
#include <uaio/argument_error.h>
#include <uaio/engine_group.h>
#include <uaio/http_error.h>
#include <uaio/provider.h>
#include <uaio/proxy.h>
#include <uaio/resolver.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <new>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::thread_end_test {

using namespace std::chrono_literals;

// Destroyed after everything that errors may need; checks them then, if `asked`.
struct LastToGo {
    bool asked = false;
    ~LastToGo() {
        if (!asked) return;
        const std::error_code codes[] = {Errc::closed, ArgumentErrc::invalid_url,
                                         HttpErrc::bad_host, ResolveErrc::failed,
                                         ProxyErrc::bad_url};
        for (const std::error_code code : codes) {
            if (code.message().empty() || strerror(code).empty()) ::_exit(3);
        }
    }
} last_to_go;

// An operation that never ends: its provider ignores the cancel.
void submit_stuck(Aio& aio) {
    Provider::submit(
        aio.engine(), aio,
        [](Aio& started) noexcept { Provider::park(started, [](Aio&) noexcept {}); }, nullptr);
}

// A thread that runs the engine until stop(); already running on return.
std::thread run_elsewhere(Engine& engine) {
    std::promise<void> runs;
    engine.post([&runs] { runs.set_value(); });
    std::thread loop([&engine] { engine.run(); });
    runs.get_future().wait();
    return loop;
}

TEST_CASE_TEMPLATE("an engine ends when the thread that ran it ends", Kernel, OnLinux, OnPoll) {
    std::string logged;
    EngineOptions options = options_on(Kernel::kKind);
    options.log = [&logged](LogLevel, std::string_view text) { logged += text; };
    const std::size_t descriptors = open_descriptors();
    {
        Engine engine(options);
        std::thread loop = run_elsewhere(engine);
        tcp::Listener listener(engine, Endpoint::loopback(0));
        StreamPtr stream, never;
        Aio accept(engine);
        listener.accept(accept, stream);
        RawPeer peer = RawPeer::connect_tcp(listener.local_endpoint());
        CHECK(!accept.wait());
        char in[10];
        Operation read(engine), parked(engine), again(engine);
        read.aio.set_iov(in, sizeof in);
        stream->read(read.aio);
        submit_parked(parked.aio);
        listener.accept(again.aio, never);
        engine.stop();
        loop.join();
        CHECK(read.ended() == failure(Errc::closed));
        CHECK(parked.ended() == failure(Errc::closed));
        CHECK(again.ended() == failure(Errc::closed));
        CHECK(read.aio.wait() == Errc::closed);
        CHECK(logged.empty());
        CHECK(engine.statistics().in_flight == 0);

        // Refuses later posts, without a callback.
        read.forget();
        stream->read(read.aio);
        CHECK(!read.aio.busy());
        CHECK(read.aio.wait() == Errc::engine_lost);
        CHECK(!read.done());
        CHECK(logged.find("whose thread has ended") != std::string::npos);
        CHECK(engine.statistics().misuse == 1);
        bool ran = false;
        engine.post([&ran] { ran = true; });
        CHECK(!ran);
        CHECK_THROWS_AS(engine.run_once(0ns), std::system_error);
        logged.clear();
    }
    CHECK(logged.empty());
    CHECK(open_descriptors() == descriptors);
}

TEST_CASE_TEMPLATE("a wait ends when the thread of the engine has ended", Kernel, OnLinux, OnPoll) {
    EngineOptions options = options_on(Kernel::kKind);
    options.drain_timeout = 1ms;
    options.log = [](LogLevel, std::string_view) {};
    alignas(Aio) std::byte memory[sizeof(Aio)];  // an Aio that is never destroyed
    Engine engine(options);
    Aio& stuck = *::new (static_cast<void*>(memory)) Aio(engine);
    std::thread loop = run_elsewhere(engine);
    submit_stuck(stuck);
    std::error_code waited;
    std::thread waiter([&] { waited = stuck.wait(); });
    std::thread other([&] { CHECK(!stuck.wait_until(Clock::now() + 1h)); });
    engine.stop();
    loop.join();
    waiter.join();
    other.join();
    CHECK(waited == Errc::engine_lost);
    CHECK(stuck.wait() == Errc::engine_lost);
}

TEST_CASE("the destructor of an Aio whose engine's thread has ended stops the program") {
    const ChildEnd end = run_in_child([]() -> std::string {
        EngineOptions options = options_on(KernelKind::io_uring);
        options.drain_timeout = 1ms;
        Engine engine(options);
        Aio stuck(engine);
        std::thread loop = run_elsewhere(engine);
        submit_stuck(stuck);
        engine.post([&engine] { engine.stop(); });
        loop.join();
        return "";
    });
    INFO(end.output);
    CHECK(end.signal == SIGABRT);
    CHECK(end.output.find("thread of its engine has ended") != std::string::npos);
}

TEST_CASE_TEMPLATE("a thread_local engine is destroyed at the end of its thread", Kernel, OnLinux,
                   OnPoll) {
    std::atomic<int> calls{0};
    std::thread([&calls] {
        thread_local Engine engine(options_on(Kernel::kKind));
        thread_local std::atomic<int>* counter = &calls;
        thread_local Aio nop(engine, [](Aio&) { ++*counter; });
        submit_nop(nop);
        CHECK(!nop.wait());
        engine.post([&calls] { ++calls; });
    }).join();
    CHECK(calls == 2);
}

TEST_CASE_TEMPLATE("an EngineThread destroyed in its own callback ends after the callback", Kernel,
                   OnLinux, OnPoll) {
    std::atomic<bool> ended{false};
    std::promise<void> posted;  // the engine must not end inside post()
    const auto threads = [] {
        using Folder = std::filesystem::directory_iterator;
        return std::distance(Folder("/proc/self/task"), Folder());
    };
    const auto before = threads();
    auto* const io = new EngineThread(options_on(Kernel::kKind));
    io->engine().post([&ended, &posted, io] {
        posted.get_future().wait();
        Engine& engine = io->engine();
        delete io;
        engine.post([&ended] { ended = true; });  // run by its destructor
    });
    posted.set_value();
    const Clock::time_point limit = Clock::now() + kPatience;
    // ThreadSanitizer lets no child of a process with two threads start a third.
    while ((!ended || threads() > before) && Clock::now() < limit)
        std::this_thread::yield();
    CHECK(ended);
    CHECK(threads() <= before);
}

// In a child, whose exit(3) destroys static objects.
template <class Body>
void check_exit(Body body) {
    const ChildEnd end = run_in_child([&]() -> std::string {
        body();
        return "exit() was not called";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE_TEMPLATE("exit() ends static engines that have operations in flight", Kernel, OnLinux,
                   OnPoll) {
    check_exit([] {
        static EngineGroup group(2, options_on(Kernel::kKind));
        static EngineThread thread(options_on(Kernel::kKind));
        static Engine engine(options_on(Kernel::kKind));
        static const tcp::Listener listener(thread.engine(), Endpoint::loopback(0));
        static Aio first(group.engine(0)), second(thread.engine()), third(engine);
        for (Aio* const aio : {&first, &second, &third})
            submit_parked(*aio);
        engine.run_once(0ns);
        std::exit(0);
    });
}

TEST_CASE_TEMPLATE("exit() may destroy streams after their static engines", Kernel, OnLinux,
                   OnPoll) {
    check_exit([] {
        static std::unique_ptr<tcp::Listener> listener;
        static std::unique_ptr<tcp::Listener> other;
        static EngineThread thread(options_on(Kernel::kKind));
        static Engine engine(options_on(Kernel::kKind));
        listener = std::make_unique<tcp::Listener>(thread.engine(), Endpoint::loopback(0));
        other = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        engine.run_once(0ns);
        std::exit(0);
    });
}

TEST_CASE("error names and messages are available until the process has exited") {
    check_exit([] {
        last_to_go.asked = true;
        std::exit(0);
    });
}

TEST_CASE_TEMPLATE("exit() may be called on the thread of a static EngineThread", Kernel, OnLinux,
                   OnPoll) {
    check_exit([] {
        static EngineThread thread(options_on(Kernel::kKind));
        thread.engine().post([] { std::exit(0); });
        for (;;)
            ::pause();  // until that exit, or the alarm of the child
    });
}

}  // namespace uaio::thread_end_test
