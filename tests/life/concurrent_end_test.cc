// Objects that one thread destroys while another destroys their engine. The engine's destructor
// must wait for the threads that use it.
#include <uaio/easy.h>
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/destroy_at_once.h"
#include "tests/support/kernels.h"

#include <atomic>
#include <barrier>
#include <future>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::concurrent_end_test {

TEST_CASE_TEMPLATE("an http server may be destroyed while another thread destroys its engine",
                   Kernel, OnLinux, OnPoll) {
    destroy_at_once(Kernel::kKind,
                    [](Engine& engine) { return std::make_unique<http::Server>(engine); });
}

TEST_CASE_TEMPLATE(
    "an http server that listens may be destroyed while another thread destroys its engine", Kernel,
    OnLinux, OnPoll) {
    destroy_at_once(Kernel::kKind, [](Engine& engine) {
        auto server = std::make_unique<http::Server>(engine);
        server->listen(tcp::acceptor(Endpoint::loopback(0)));
        return server;
    });
}

TEST_CASE_TEMPLATE("an http client may be destroyed while another thread destroys its engine",
                   Kernel, OnLinux, OnPoll) {
    tcp::Connector nowhere(Endpoint::loopback(1));
    destroy_at_once(Kernel::kKind, [&](Engine& engine) {
        auto client = std::make_unique<http::Client>(nowhere);
        http::Request request("http://unused/");
        http::Response response;
        Aio aio(engine);
        client->transact(request, response, aio);
        CHECK(aio.wait());
        return client;
    });
}

TEST_CASE_TEMPLATE("a listener may be destroyed while another thread destroys its engine", Kernel,
                   OnLinux, OnPoll) {
    destroy_at_once(Kernel::kKind, [](Engine& engine) {
        return std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    });
}

TEST_CASE_TEMPLATE("a stream may be destroyed while another thread destroys its engine", Kernel,
                   OnLinux, OnPoll) {
    destroy_at_once(Kernel::kKind, [](Engine& engine) {
        tcp::Listener listener(engine, Endpoint::loopback(0));
        StreamPtr stream;
        Aio aio(engine);
        tcp::connect(listener.local_endpoint(), {}, aio, stream);
        CHECK(!aio.wait());
        return stream;
    });
}

TEST_CASE_TEMPLATE("an easy connection may be destroyed while another thread destroys its engine",
                   Kernel, OnLinux, OnPoll) {
    destroy_at_once(Kernel::kKind,
                    [](Engine& engine) { return std::make_unique<easy::Connection>(engine); });
}

TEST_CASE_TEMPLATE(
    "an http server may be destroyed while another thread destroys its engine, which never ran",
    Kernel, OnLinux, OnPoll) {
    for (int tries = 0; tries < kTries; ++tries) {
        auto engine = std::make_unique<Engine>(options_on(Kernel::kKind));
        auto server = std::make_unique<http::Server>(*engine);
        server->listen(tcp::acceptor(Endpoint::loopback(0)));
        std::barrier start(2);
        std::thread other([&] {
            start.arrive_and_wait();
            server.reset();
        });
        start.arrive_and_wait();
        engine.reset();
        other.join();
    }
}

struct Progress {
    std::promise<void> parked, canceled;
};

// Parked until its cancel. The engine's thread reports both.
void submit_parked(Aio& aio, Progress& progress) {
    const auto start = [](Aio& started) noexcept {
        static_cast<Progress*>(Provider::owner(started))->parked.set_value();
        Provider::park(started, [](Aio& ended) noexcept {
            static_cast<Progress*>(Provider::owner(ended))->canceled.set_value();
            Provider::finish(ended, Provider::cancel_reason(ended));
        });
    };
    Provider::submit(aio.engine(), aio, start, &progress);
}

TEST_CASE_TEMPLATE(
    "an engine may be destroyed while another thread is in the destructor of a busy Aio", Kernel,
    OnLinux, OnPoll) {
    for (int tries = 0; tries < kTries; ++tries) {
        auto io = std::make_unique<EngineThread>(options_on(Kernel::kKind));
        Progress progress;
        std::atomic<int> callbacks = 0;
        auto aio = std::make_unique<Aio>(io->engine(), [&](Aio&) { ++callbacks; });
        submit_parked(*aio, progress);
        progress.parked.get_future().wait();
        std::thread other([&] { aio.reset(); });
        progress.canceled.get_future().wait();
        io.reset();
        other.join();
        CHECK(callbacks == 1);
    }
}

}  // namespace uaio::concurrent_end_test
