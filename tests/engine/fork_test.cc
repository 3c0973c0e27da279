// Children of fork(2): what they inherit from an engine, and that the parent is unaffected.
#include <uaio/engine_group.h>
#include <uaio/local.h>
#include <uaio/resolver.h>
#include <uaio/tcp.h>

#include "engine/core.h"
#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"
#include "tests/support/temporary_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::fork_test {

using namespace std::chrono_literals;

// An engine with a connection, a read that waits on it, and two listeners.
struct Parent {
    explicit Parent(KernelKind kind, bool threaded) {
        if (threaded) {
            thread = std::make_unique<EngineThread>(options_on(kind));
        } else {
            own = std::make_unique<Engine>(options_on(kind));
        }
        listener = std::make_unique<tcp::Listener>(engine(), Endpoint::loopback(0));
        file = std::make_unique<local::Listener>(engine(), folder.path() + "/socket");
        Aio accept(engine());
        listener->accept(accept, stream);
        peer = std::make_unique<RawPeer>(RawPeer::connect_tcp(listener->local_endpoint()));
        REQUIRE(!accept.wait());
        read = std::make_unique<Operation>(engine(), in);
        stream->read(read->aio);
        if (own) own->run_once(0ns);
    }

    Engine& engine() { return own ? *own : thread->engine(); }

    // The read completes, a write arrives, and both listeners accept a connection.
    void check_alive() {
        peer->send("ping");
        CHECK(!read->aio.wait());
        CHECK(read->ended() == success(4));
        Operation write(engine(), "pong");
        stream->write_all(write.aio);
        CHECK(!write.aio.wait());
        const Clock::time_point limit = Clock::now() + kPatience;
        while (peer->received().size() < 4 && Clock::now() < limit)
            peer->read_some();
        CHECK(peer->received() == "pong");
        CHECK(peer->end() == RawPeer::End::open);
        StreamPtr second, third;
        Aio accept(engine()), accept_local(engine());
        listener->accept(accept, second);
        file->accept(accept_local, third);
        const RawPeer again = RawPeer::connect_tcp(listener->local_endpoint());
        const RawPeer beside = RawPeer::connect_local(file->path());
        CHECK(!accept.wait());
        CHECK(!accept_local.wait());
    }

    TemporaryFolder folder;
    std::unique_ptr<EngineThread> thread;
    std::unique_ptr<Engine> own;
    std::unique_ptr<tcp::Listener> listener;
    std::unique_ptr<local::Listener> file;
    std::unique_ptr<RawPeer> peer;
    std::string in = std::string(100, '\0');
    StreamPtr stream;
    std::unique_ptr<Operation> read;
};

std::string use_inherited(Parent& parent) {
    Engine& engine = parent.engine();
    try {
        engine.run_once(0ns);
        return "run_once did not throw";
    } catch (const std::system_error& error) {
        if (error.code() != Errc::engine_lost) return error.what();
    }
    try {
        return "fd() returned " + std::to_string(engine.fd());
    } catch (const std::system_error& error) {
        if (error.code() != Errc::engine_lost) return error.what();
    }
    if (parent.read->aio.wait() != Errc::engine_lost) return "wait did not return engine_lost";
    if (parent.read->aio.wait_until(Clock::now() + 1h)) return "wait_until returned true";
    parent.read->aio.cancel();
    parent.read->aio.stop();
    engine.stop();
    bool ran = false;
    engine.post([&ran] { ran = true; });
    Operation write(engine, "from the child");
    parent.stream->write_all(write.aio);
    if (write.aio.busy() || write.aio.result() != Errc::engine_lost) return "a write was accepted";
    if (write.done() || ran) return "something ran";
    parent.stream->close();
    try {
        const tcp::Listener listener(engine, Endpoint::loopback(0));
        return "a listener was created";
    } catch (const std::system_error&) {
    }
    return "";
}

TEST_CASE_TEMPLATE("fork: an inherited engine refuses every operation in the child", Kernel,
                   OnLinux, OnPoll) {
    for (const bool threaded : {false, true}) {
        Parent parent(Kernel::kKind, threaded);
        const ChildEnd end = run_in_child([&] { return use_inherited(parent); });
        INFO(end.output);
        CHECK(end.succeeded());
        parent.check_alive();
    }
}

TEST_CASE_TEMPLATE("fork: a child that destroys inherited objects does not affect the parent",
                   Kernel, OnLinux, OnPoll) {
    for (const bool threaded : {false, true}) {
        Parent parent(Kernel::kKind, threaded);
        const ChildEnd end = run_in_child([&]() -> std::string {
            parent.read.reset();
            parent.stream.reset();
            parent.file.reset();
            parent.listener.reset();
            parent.own.reset();
            parent.thread.reset();
            return "";
        });
        INFO(end.output);
        CHECK(end.succeeded());
        parent.check_alive();
    }
}

TEST_CASE_TEMPLATE("fork: the child may destroy an inherited engine before its streams", Kernel,
                   OnLinux, OnPoll) {
    for (const bool threaded : {false, true}) {
        Parent parent(Kernel::kKind, threaded);
        const ChildEnd end = run_in_child([&]() -> std::string {
            parent.read.reset();
            parent.own.reset();
            parent.thread.reset();
            parent.stream.reset();
            parent.file.reset();
            parent.listener.reset();
            return "";
        });
        INFO(end.output);
        CHECK(end.succeeded());
        parent.check_alive();
    }
}

TEST_CASE_TEMPLATE("fork: the destructors in a child close its copies of the descriptors", Kernel,
                   OnLinux, OnPoll) {
    const std::size_t before = open_descriptors();
    Parent parent(Kernel::kKind, false);
    for (const bool notify : {false, true}) {
        const ChildEnd end = run_in_child([&]() -> std::string {
            if (notify) {
                Engine::notify_fork_child();
            } else {
                parent.stream.reset();
                parent.file.reset();
                parent.listener.reset();
            }
            // Besides those: the socket of the peer, and the pipe to the parent.
            const std::size_t left = open_descriptors();
            return left == before + 2 ? "" : std::to_string(left) + " are left open";
        });
        INFO(end.output);
        CHECK(end.succeeded());
    }
    Engine::notify_fork_child();  // no effect here
    parent.check_alive();
}

// A child whose parent has threads cannot start its own under ThreadSanitizer: they get the
// parent's thread numbers. True, and counted as a skip.
bool cannot_start_threads_in_child() {
#if defined(__SANITIZE_THREAD__)
    report_skip("ThreadSanitizer cannot start threads in a child of fork(2)");
    return true;
#else
    return false;
#endif
}

TEST_CASE_TEMPLATE("fork: a child can create engines beside inherited ones", Kernel, OnLinux,
                   OnPoll) {
    if (cannot_start_threads_in_child()) return;
    tcp::ListenOptions shared;
    shared.reuse_port = true;
    EngineThread io(options_on(Kernel::kKind));
    const tcp::Listener listener(io.engine(), Endpoint::loopback(0), shared);
    const ChildEnd end = run_in_child([&]() -> std::string {
        Engine::notify_fork_child();
        EngineThread own(options_on(Kernel::kKind));
        tcp::Listener beside(own.engine(), listener.local_endpoint(), shared);
        StreamPtr stream;
        Aio accept(own.engine());
        beside.accept(accept, stream);
        accept.cancel();
        if (accept.wait() != Errc::canceled) return "the accept was not canceled";
        Aio nop(own.engine());
        submit_nop(nop);
        return nop.wait().message() == std::error_code().message() ? "" : "a NOP failed";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

// In its own process: its child leaves the callback that forked.
std::string fork_in_a_callback(KernelKind kind) {
    Engine engine(options_on(kind));
    pid_t child = -1;
    int later = 0;
    Aio forking(engine, [&child](Aio&) { child = ::fork(); });
    Aio behind(engine, [&later](Aio&) { ++later; });
    submit_nop(forking);
    submit_nop(behind);
    Aio parked(engine);
    parked.set_timeout(1h);
    submit_parked(parked);
    try {
        while (child < 0)
            engine.run_once(0ns);
    } catch (const std::system_error& error) {
        if (child != 0) return error.what();
        ::_exit(error.code() == Errc::engine_lost && later == 0 ? 0 : 3);
    }
    if (child == 0) ::_exit(4);
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return "no child was created";
    if (status != 0) return "the child ended with status " + std::to_string(status);
    if (behind.wait() || later != 1) return "the parent's callback did not run once";
    parked.cancel();
    return parked.wait() == Errc::canceled ? "" : "the parent's engine does not work";
}

TEST_CASE_TEMPLATE("fork: run() returns in a child that returns from the callback which forked",
                   Kernel, OnLinux, OnPoll) {
    const ChildEnd end = run_in_child([] { return fork_in_a_callback(Kernel::kKind); });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE_TEMPLATE("fork: a child that returns from the callback of an EngineThread exits", Kernel,
                   OnLinux, OnPoll) {
    bool stopped = false;
    SUBCASE("while it runs") {}
    SUBCASE("after its stop()") { stopped = true; }
    const ChildEnd end = run_in_child([stopped]() -> std::string {
        static EngineThread io(options_on(Kernel::kKind));
        if (stopped) {
            io.engine().stop();
            Aio parked(io.engine());
            submit_parked(parked);
            if (parked.wait() != Errc::closed) return "the engine did not stop";
        }
        std::promise<pid_t> forked;
        io.engine().post([&] {
            const pid_t child = ::fork();
            if (child > 0) return forked.set_value(child);
            std::atexit([] { ::_exit(7); });  // before the static objects of these tests
        });
        const pid_t child = forked.get_future().get();
        int status = 0;
        const Clock::time_point limit = Clock::now() + kPatience / 2;  // this child has kPatience
        while (::waitpid(child, &status, WNOHANG) == 0) {
            if (Clock::now() < limit) continue;
            ::kill(child, SIGKILL);
            ::waitpid(child, &status, 0);
            return "the child did not exit";
        }
        return WEXITSTATUS(status) == 7 ? "" : "the child ended with another status";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

// A thread that waits for an engine. The constructor returns while the thread holds the lock of the
// waiting threads, to evaluate its condition for the first time.
struct WaitingThread {
    explicit WaitingThread(EngineCore& engine)
        : thread([this, &engine] {
              CHECK(engine.wait({this, &is_over}) == Errc::engine_lost);
          }) {
        locked.get_future().wait();
    }
    static bool is_over(const void* subject) noexcept {
        static_cast<WaitingThread*>(const_cast<void*>(subject))->evaluate();
        return false;
    }
    void evaluate() noexcept {
        if (++evaluated != 2) return;  // the first time is without the lock
        locked.set_value();
        may_continue.get_future().wait();
    }

    int evaluated = 0;
    std::promise<void> locked, may_continue;
    std::thread thread;
};

TEST_CASE_TEMPLATE("fork: an engine's destructor returns in a child of a callback that it ran",
                   Kernel, OnLinux, OnPoll) {
    auto engine = std::make_unique<Engine>(options_on(Kernel::kKind));
    engine->run_once(0ns);
    // Neither is in the child: one waits at the fork, the other holds the lock.
    WaitingThread waits(EngineCore::of(*engine));
    waits.may_continue.set_value();
    WaitingThread locks(EngineCore::of(*engine));
    pid_t child = -1;
    std::unique_ptr<Aio> forks;
    forks = std::make_unique<Aio>(*engine, [&](Aio&) {
        child = ::fork();
        if (child == 0) {
            std::signal(SIGALRM, SIG_DFL);
            ::alarm(static_cast<unsigned>(kPatience.count()));
        } else {
            locks.may_continue.set_value();
        }
        forks.reset();
    });
    submit_parked(*forks);
    engine.reset();
    if (child == 0) ::_exit(7);
    waits.thread.join();
    locks.thread.join();
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE_TEMPLATE("fork: exit() in a child destroys static engines", Kernel, OnLinux, OnPoll) {
    const ChildEnd end = run_in_child([]() -> std::string {
        static EngineThread thread(options_on(Kernel::kKind));
        static Engine engine(options_on(Kernel::kKind));
        static const tcp::Listener listener(thread.engine(), Endpoint::loopback(0));
        static Aio parked(thread.engine());
        submit_parked(parked);
        engine.run_once(0ns);
        // Waits until the process ends, so that a condition variable has a waiter at the fork.
        std::thread([] { static_cast<void>(parked.wait()); }).detach();
        const pid_t child = ::fork();
        if (child == 0) std::exit(0);
        int status = 0;
        if (::waitpid(child, &status, 0) != child) return "no child was created";
        parked.cancel();
        return status == 0 ? "" : "the child ended with status " + std::to_string(status);
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("fork: a Resolver of the parent works in a child without the parent's threads") {
    EngineThread io(options_on(KernelKind::io_uring));
    Resolver resolver({.lookup = [](const std::string&, AddressFamily, std::vector<Endpoint>& out) {
        out.push_back(Endpoint::loopback(0));
        return std::error_code();
    }});
    const auto resolves = [&resolver](Engine& engine) {
        std::vector<Endpoint> found;
        Aio aio(engine);
        resolver.resolve("name.test", 80, AddressFamily::any, aio, found);
        return !aio.wait() && found.size() == 1;
    };
    CHECK(resolves(io.engine()));
    if (cannot_start_threads_in_child()) return;
    for (const bool used : {false, true}) {
        const ChildEnd end = run_in_child([&]() -> std::string {
            if (used) {
                EngineThread own(options_on(KernelKind::io_uring));
                if (!resolves(own.engine())) return "the resolver fails";
            }
            resolver.~Resolver();
            return "";
        });
        INFO(end.output);
        CHECK(end.succeeded());
    }
    CHECK(resolves(io.engine()));
}

}  // namespace uaio::fork_test
