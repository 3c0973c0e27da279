// The state after stop(): the engine of an EngineThread ends with it; an engine whose thread has
// left run() is reported to waiting threads.
#include <uaio/easy.h>
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/nop.h"
#include "tests/support/raw_peer.h"
#include "tests/support/server_fixture.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <liburing.h>

namespace uaio::stopped_engine_test {

using namespace std::chrono_literals;

Outcome end_sleeping(Aio& aio, int result, unsigned) noexcept {
    if (result == -ECANCELED) Provider::set_error(aio, Errc::closed);
    return Outcome::finished;
}

// In the kernel until its cancel.
void submit_sleeping(Aio& aio, int fd) {
    const auto start = [](Aio& started) noexcept {
        io_uring_prep_poll_add(
            &Provider::begin<&end_sleeping>(started),
            static_cast<int>(reinterpret_cast<std::intptr_t>(Provider::argument(started))), POLLIN);
    };
    Provider::submit(aio.engine(), aio, start, nullptr,
                     reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
}

EngineOptions silent_options(KernelKind kernel) {
    EngineOptions options = options_on(kernel);
    options.log = [](LogLevel, std::string_view) {};
    return options;
}

// A server, a client whose request waits for that server's handler, and an easy connection to it.
struct Objects {
    explicit Objects(Engine& engine) : server(engine), waiting(engine), easy(engine) {
        server.handle("GET", "/", [this](http::Exchange&) { asked.set_value(); });
        const Endpoint at = listen_on_loopback(server);
        connector.emplace(at);
        client.emplace(*connector);
        request = http::Request("http://" + at.to_string() + "/");
        client->transact(request, response, waiting);
        asked.get_future().wait();
    }

    std::promise<void> asked;
    http::Server server;
    std::optional<tcp::Connector> connector;
    http::Request request;
    http::Response response;
    Aio waiting;
    easy::Connection easy;
    std::optional<http::Client> client;
};

TEST_CASE_TEMPLATE("stop() ends the engine of an EngineThread", Kernel, OnLinux, OnPoll) {
    const int fd = ::eventfd(0, EFD_CLOEXEC);
    REQUIRE(fd >= 0);
    EngineThread io(silent_options(Kernel::kKind));
    Aio pending(io.engine());
    submit_parked(pending);
    io.engine().stop();
    CHECK(pending.wait() == Errc::closed);
    CHECK_THROWS_AS(io.engine().run(), std::system_error);
    for (int round = 0; round < 3; ++round) {
        submit_parked(pending);
        CHECK(pending.wait() == Errc::closed);
        submit_sleeping(pending, fd);
        CHECK(pending.wait() == Errc::closed);
        io.engine().stop();
    }
    http::Server server(io.engine());
    CHECK_THROWS_AS(server.listen(tcp::acceptor(Endpoint::loopback(0))), std::logic_error);
    tcp::Listener listener(io.engine(), Endpoint::loopback(0));
    StreamPtr stream;
    listener.accept(pending, stream);
    CHECK(pending.wait() == Errc::closed);
    ::close(fd);
}

TEST_CASE_TEMPLATE("the objects of an EngineThread may be destroyed after its stop()", Kernel,
                   OnLinux, OnPoll) {
    EngineThread io(silent_options(Kernel::kKind));
    {
        Objects objects(io.engine());
        io.engine().stop();
        CHECK(objects.waiting.wait() == Errc::closed);
        Aio drained(io.engine());
        drained.set_timeout(1h);
        objects.server.drain(drained);
        CHECK(drained.wait() == Errc::closed);
    }
}

TEST_CASE_TEMPLATE("the objects of an EngineThread may be destroyed while it stops", Kernel,
                   OnLinux, OnPoll) {
    for (int round = 0; round < 100; ++round) {
        EngineThread io(silent_options(Kernel::kKind));
        auto objects = std::make_unique<Objects>(io.engine());
        std::thread stops([&] { io.engine().stop(); });
        objects.reset();
        stops.join();
    }
}

TEST_CASE("listen() on a group with a stopped engine fails and accepts on none") {
    EngineGroup group(2);
    http::Server server(group);
    group.engine(1).stop();
    Aio parked(group.engine(1));
    submit_parked(parked);
    CHECK(parked.wait() == Errc::closed);
    std::vector<Endpoint> bound;
    const auto factory = [&](Engine& engine) {
        auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        bound.push_back(listener->local_endpoint());
        return listener;
    };
    CHECK_THROWS_AS(server.listen(factory), std::logic_error);
    CHECK(bound.size() == 1);  // on the running engine
    for (const Endpoint& endpoint : bound)
        CHECK_NOTHROW(tcp::Listener(group.engine(0), endpoint));
}

// From here on the kernel refuses the ring.
void fail_ring(EngineThread& io) {
    Aio parked(io.engine());
    submit_parked(parked);
    io.engine().post([] { refuse_system_call(SYS_io_uring_enter, EPERM); });
    static_cast<void>(parked.wait());
}

TEST_CASE("an EngineThread whose ring fails ends only its own operations") {
    const ChildEnd end = run_in_child([]() -> std::string {
        EngineThread io(silent_options(KernelKind::io_uring));
        if (io.engine().kernel() != KernelKind::io_uring) return "";
        auto server = std::make_unique<http::Server>(io.engine());
        std::atomic<int> ends = 0;
        auto parked = std::make_unique<Aio>(io.engine(), [&](Aio&) { ++ends; });
        submit_parked(*parked);
        io.engine().post([] { refuse_system_call(SYS_io_uring_enter, EPERM); });
        if (!parked->wait()) return "the operation succeeded";
        parked.reset();
        if (ends != 1) return "the operation did not end";
        // The engine's thread still ends what is submitted later, and waits without the kernel.
        Aio late(io.engine());
        submit_parked(late);
        while (late.busy())
            std::this_thread::yield();
        if (late.result() != Errc::closed) return "a later operation did not end";
        server.reset();
        return "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

// The read of the idle connection is in the kernel, which never completes it.
TEST_CASE("the destructor of an idle client returns where the ring has failed") {
    const ChildEnd end = run_in_child([]() -> std::string {
        EngineThread peer(silent_options(KernelKind::io_uring));
        if (peer.engine().kernel() != KernelKind::io_uring) return "";
        http::Server server(peer.engine());
        server.handle("GET", "/", [](http::Exchange& exchange) { exchange.respond("hi"); });
        const Endpoint at = listen_on_loopback(server);
        EngineThread io(silent_options(KernelKind::io_uring));
        tcp::Connector connector(at);
        auto client = std::make_unique<http::Client>(connector);
        http::Request request("http://" + at.to_string() + "/");
        http::Response response;
        Aio aio(io.engine());
        client->transact(request, response, aio);
        if (aio.wait()) return "the request failed";
        fail_ring(io);
        client.reset();
        return "";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("the destructor of an Aio in a refused ring stops the program on another thread") {
    if (options_on(KernelKind::io_uring).kernel != KernelKind::io_uring) return;
    const ChildEnd end = run_in_child([]() -> std::string {
        EngineOptions options = silent_options(KernelKind::io_uring);
        options.drain_timeout = 10ms;
        EngineThread io(options);
        const int fd = ::eventfd(0, EFD_CLOEXEC);
        auto sleeping = std::make_unique<Aio>(io.engine());
        submit_sleeping(*sleeping, fd);
        fail_ring(io);
        sleeping.reset();
        return "the program continued";
    });
    INFO(end.output);
    CHECK(end.signal == SIGABRT);
}

TEST_CASE_TEMPLATE("constructors fail on an engine whose thread has ended", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(silent_options(Kernel::kKind));
    std::thread([&engine] { engine.run_once(0ns); }).join();
    CHECK_THROWS_AS(http::Server{engine}, std::system_error);
    CHECK_THROWS_AS(tcp::Listener(engine, Endpoint::loopback(0)), std::system_error);
    CHECK_THROWS_AS(easy::Connection{engine}, std::system_error);
}

// An engine whose thread returns from run() and then waits.
TEST_CASE_TEMPLATE("a destructor logs that it waits for an engine which no thread runs", Kernel,
                   OnLinux, OnPoll) {
    for (const bool server : {false, true}) {
        CAPTURE(server);
        std::promise<void> warned;
        EngineOptions options = options_on(Kernel::kKind);
        options.drain_timeout = 1ms;
        options.log = [&, times = 0](LogLevel, std::string_view text) mutable {
            if (text.find("no thread runs") != text.npos && times++ == 0) warned.set_value();
        };
        std::promise<Engine*> made;
        std::atomic<bool> over = false;
        std::thread loop([&] {
            Engine engine(options);
            engine.post([&] { made.set_value(&engine); });
            engine.run();
            warned.get_future().wait();
            while (!over)
                engine.run_once(1ms);
        });
        Engine& engine = *made.get_future().get();
        auto pending = std::make_unique<Aio>(engine);
        auto served = std::make_unique<http::Server>(engine);
        std::promise<void> started;
        submit_parked(*pending);
        engine.post([&] {
            started.set_value();
            engine.stop();
        });
        started.get_future().wait();
        if (server) {
            served.reset();
            pending.reset();
        } else {
            pending.reset();
            served.reset();
        }
        over = true;
        loop.join();
    }
}

}  // namespace uaio::stopped_engine_test
