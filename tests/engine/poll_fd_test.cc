// An engine inside another loop: Engine::fd() in an epoll set is readable whenever run_once(0) has
// work, and only then.
#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::poll_fd_test {

using namespace std::chrono_literals;

// An application's own loop: an epoll set that contains an engine.
class HostLoop {
public:
    explicit HostLoop(Engine& engine) : engine_(engine), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        REQUIRE(engine.fd() >= 0);
        CHECK(engine.fd() == engine.fd());
        epoll_event event{};
        event.events = EPOLLIN;
        REQUIRE(::epoll_ctl(epoll_, EPOLL_CTL_ADD, engine.fd(), &event) == 0);
    }
    ~HostLoop() { ::close(epoll_); }
    HostLoop(const HostLoop&) = delete;
    HostLoop& operator=(const HostLoop&) = delete;

    bool readable(std::chrono::milliseconds wait = 0ms) {
        epoll_event event;
        return ::epoll_wait(epoll_, &event, 1, static_cast<int>(wait.count())) == 1;
    }

    // Runs the engine only while the set reports it readable.
    bool run_until(const std::function<bool()>& done) {
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!done()) {
            if (Clock::now() > limit) return false;
            if (!readable(1000ms)) continue;
            engine_.run_once(0ns);
            ++turns;
        }
        return true;
    }
    // Runs until the set is quiet. A set that is always readable would keep a processor busy. If
    // one eventfd causes a completion, the kernel signals the other only after a grace period
    // (eventfd_signal_allowed() in its io_uring/eventfd.c), so a quiet moment proves nothing.
    void settle() {
        for (int turn = 0; readable(20ms); ++turn) {
            REQUIRE(turn < 100);
            engine_.run_once(0ns);
        }
    }

    std::uint64_t turns = 0;

private:
    Engine& engine_;
    int epoll_;
};

TEST_CASE_TEMPLATE("an engine without work is not readable", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    CHECK(!loop.readable(5ms));
    engine.run_once(0ns);
    CHECK(!loop.readable(5ms));
}

TEST_CASE_TEMPLATE("submissions outside a turn make the engine readable", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    for (int round = 0; round < 20; ++round) {
        Operation nop(engine);
        submit_nop(nop.aio);
        CHECK(nop.ended() == kPending);
        REQUIRE(loop.run_until([&] { return nop.done(); }));
        CHECK(nop.ended() == success(0));
        loop.settle();
    }
}

TEST_CASE_TEMPLATE("posts and verbs of another thread make the engine readable", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    for (int round = 0; round < 20; ++round) {
        bool ran = false;
        std::thread([&] { engine.post([&] { ran = true; }); }).join();
        REQUIRE(loop.run_until([&] { return ran; }));
        loop.settle();
        Operation nop(engine);
        std::thread([&] { submit_nop(nop.aio); }).join();
        REQUIRE(loop.run_until([&] { return nop.done(); }));
        loop.settle();
        Operation parked(engine);
        submit_parked(parked.aio);
        loop.settle();
        std::thread([&] { parked.aio.cancel(); }).join();
        REQUIRE(loop.run_until([&] { return parked.done(); }));
        CHECK(parked.ended() == failure(Errc::canceled));
        loop.settle();
    }
}

TEST_CASE_TEMPLATE("posts and cancels on the engine's own thread make the engine readable", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    bool ran = false;
    engine.post([&] { ran = true; });
    REQUIRE(loop.run_until([&] { return ran; }));
    loop.settle();
    Operation parked(engine);
    submit_parked(parked.aio);
    loop.settle();
    parked.aio.cancel();
    REQUIRE(loop.run_until([&] { return parked.done(); }));
    loop.settle();
    CHECK(!loop.readable(5ms));
}

TEST_CASE_TEMPLATE("deadlines make the engine readable when they are due", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    for (const std::chrono::nanoseconds timeout : {1'000ns, 3'000'000ns, 30'000'000ns}) {
        Operation parked(engine);
        parked.aio.set_timeout(timeout);
        const Clock::time_point begin = Clock::now();
        submit_parked(parked.aio);
        const std::uint64_t before = loop.turns;
        REQUIRE(loop.run_until([&] { return parked.done(); }));
        CHECK(Clock::now() - begin >= timeout);
        CHECK(parked.ended() == failure(Errc::timed_out));
        CHECK(loop.turns - before <= 12);  // without busy retries
        loop.settle();
        CHECK(!loop.readable());
    }
}

TEST_CASE_TEMPLATE("a disarmed deadline does not keep waking the host loop", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    Operation parked(engine);
    parked.aio.set_timeout(5ms);
    submit_parked(parked.aio);
    loop.settle();
    parked.aio.cancel();
    REQUIRE(loop.run_until([&] { return parked.done(); }));
    loop.settle();
    CHECK(!loop.readable(20ms));
}

TEST_CASE_TEMPLATE("completions make the engine readable", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    HostLoop loop(fixture.engine());
    std::string in(4, '\0');
    Operation read(fixture.engine(), in);
    for (int round = 0; round < 50; ++round) {
        read.forget();
        fixture.connection().read_all(read.aio);
        loop.settle();
        CHECK(read.ended() == kPending);
        fixture.peer().send("ping");
        REQUIRE(loop.run_until([&] { return read.done(); }));
        CHECK(read.ended() == success(4));
    }
    loop.settle();
    CHECK(!loop.readable(5ms));
}

TEST_CASE_TEMPLATE("the host loop completes a large transfer", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    HostLoop loop(fixture.engine());
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    write.aio.set_timeout(kPatience);
    fixture.connection().write_all(write.aio);
    const Clock::time_point limit = Clock::now() + kPatience;
    while (fixture.peer().received().size() < payload.size()) {
        REQUIRE(Clock::now() < limit);
        if (loop.readable(1ms)) fixture.engine().run_once(0ns);
        fixture.peer().read_some();
    }
    REQUIRE(loop.run_until([&] { return write.done(); }));
    CHECK(write.ended() == success(payload.size()));
    CHECK(fixture.peer().received() == payload);
}

TEST_CASE_TEMPLATE("the host loop continues an operation that a callback submits", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    int left = 1000;
    Aio chain(engine, [&left](Aio& self) {
        if (--left > 0) submit_nop(self);
    });
    submit_nop(chain);
    REQUIRE(loop.run_until([&] { return left == 0; }));
}

TEST_CASE_TEMPLATE("completions beyond the completion ring make the engine readable", Kernel,
                   OnLinux, OnPoll) {
    EngineOptions options;
    options.entries = 2;
    options.completions = 4;
    Engine engine(options_on(Kernel::kKind, options));
    HostLoop loop(engine);
    std::vector<std::unique_ptr<Operation>> nops;
    for (int i = 0; i < 100; ++i) {
        nops.push_back(std::make_unique<Operation>(engine));
        submit_nop(nops.back()->aio);
    }
    REQUIRE(loop.run_until([&] { return nops.back()->done(); }));
    REQUIRE(loop.run_until([&] { return engine.statistics().in_flight == 0; }));
}

TEST_CASE_TEMPLATE("stop makes the engine readable", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    HostLoop loop(engine);
    loop.settle();
    std::thread([&] { engine.stop(); }).join();
    CHECK(loop.readable(1000ms));
}

TEST_CASE_TEMPLATE("fd() may be called before the first turn", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Operation nop(engine);
    submit_nop(nop.aio);  // before fd(), and before the engine has a thread
    HostLoop loop(engine);
    REQUIRE(loop.run_until([&] { return nop.done(); }));
    CHECK(nop.ended() == success(0));
}

}  // namespace uaio::poll_fd_test
