// Dials without memory: each allocation of a dial fails once. The dial ends with not_enough_memory,
// or succeeds without it, and leaves no resources behind. The same for other operations that open
// connections, and for constructors.
#include <uaio/dialer.h>
#include <uaio/easy.h>
#include <uaio/engine_group.h>
#include <uaio/http_client.h>
#include <uaio/http_server.h>
#include <uaio/resolver.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <thread>

#include <doctest/doctest.h>

namespace uaio::dial_allocation_test {

using namespace std::chrono_literals;

// A server on its own thread, for one connection at a time: it grants the SOCKS5 or CONNECT
// request, and then reads to the end.
class GrantingProxy {
public:
    GrantingProxy() : thread_([this] { serve(); }) {}
    ~GrantingProxy() {
        ::shutdown(listener_.fd(), SHUT_RDWR);
        thread_.join();
    }
    Endpoint endpoint() const { return listener_.endpoint(); }
    std::string address() const { return endpoint().to_string(); }

private:
    void serve() const {
        for (;;) {
            const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0 && errno != ECONNABORTED && errno != EAGAIN) return;
            char bytes[512];
            int asked = 0;
            while (::recv(fd, bytes, sizeof bytes, 0) > 0) {
                const bool socks = bytes[0] == 5;
                const char method[] = {5, 0};
                const char granted[] = {5, 0, 0, 1, 127, 0, 0, 1, 0, 80};
                const std::string_view http = "HTTP/1.1 200 Granted\r\n\r\n";
                const std::string_view answer = !socks ? http
                                                : asked == 0
                                                    ? std::string_view(method, sizeof method)
                                                    : std::string_view(granted, sizeof granted);
                ++asked;
                static_cast<void>(::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL));
            }
            ::close(fd);
        }
    }

    RawListener listener_;
    std::thread thread_;
};

// Calls `begin` once for each allocation that it and its operation make, and fails that one. The
// operation must be submitted on `engine`, which this thread runs. `over` checks the result,
// `prepare` may set the case up.
void fail_each(
    Engine& engine, const std::function<void(Aio&)>& begin,
    const std::function<void(const Ended&)>& over, const std::function<void()>& prepare = [] {}) {
    std::int64_t blocks = 0;
    unsigned refused = 0;
    bool failed = true;
    // The first rounds make the one-time allocations, also those of the first exception.
    for (std::uint64_t round = 0; failed || round <= 4; ++round) {
        const std::uint64_t others = round < 2 ? 1'000'000 : round < 4 ? 0 : round - 4;
        if (round == 4) blocks = live_allocations();
        CAPTURE(others);
        {
            Operation operation(engine);
            const Clock::time_point limit = Clock::now() + kPatience;
            prepare();
            fail_allocation_behind(others);
            begin(operation.aio);
            while (!operation.done() && Clock::now() < limit)
                engine.run_once(1ms);
            failed = stop_failing() && round >= 4;
            const Ended ended = operation.ended();
            REQUIRE(ended.calls == 1);
            if (ended.error) {
                CHECK(ended.error == Errc::not_enough_memory);
                CHECK((failed || round < 4));
                ++refused;
            }
            over(ended);
        }
        for (int turn = 0; turn < 20 && engine.statistics().in_flight > 0; ++turn)
            engine.run_once(1ms);
        CHECK(engine.statistics().in_flight == 0);
    }
    CHECK(refused > 0);
    CHECK(live_allocations() <= blocks);
}

TEST_CASE_TEMPLATE("a dial in which any one allocation fails reports it or succeeds", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    const GrantingProxy proxy;
    Engine engine(options_on(Kernel::kKind));
    for (const std::string scheme : {"", "socks5h://", "http://"}) {
        CAPTURE(scheme);
        DialOptions options;
        options.no_proxy = "";
        options.proxy = scheme.empty() ? "" : scheme + proxy.address();
        const std::string target =
            scheme.empty() ? "tcp://" + proxy.address() : "tcp://a-name-that-is-not-short.test:80";
        Dialer dialer(target, options);
        StreamPtr stream;
        fail_each(
            engine, [&](Aio& aio) { dialer.connect(aio, stream); },
            [&](const Ended& ended) {
                CHECK(static_cast<bool>(stream) == !ended.error);
                stream.reset();
            });
    }
}

TEST_CASE_TEMPLATE("an easy connect in which any one allocation fails reports it or succeeds",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    const GrantingProxy proxy;
    Engine engine(options_on(Kernel::kKind));
    for (const std::string scheme : {"", "socks5h://", "http://"}) {
        CAPTURE(scheme);
        easy::Options options;
        options.no_proxy = "";
        options.proxy = scheme.empty() ? "" : scheme + proxy.address();
        const std::string target =
            scheme.empty() ? "tcp://" + proxy.address() : "tcp://a-name-that-is-not-short.test:80";
        easy::Connection connection(engine);
        fail_each(
            engine, [&](Aio& aio) { connection.connect(target, options, aio); },
            [&](const Ended& ended) {
                CHECK((connection.native_handle() >= 0) == !ended.error);
                connection.close();
            });
    }
}

TEST_CASE_TEMPLATE("a client's request in which any one allocation fails reports it or succeeds",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    const GrantingProxy server;
    Engine engine(options_on(Kernel::kKind));
    tcp::Connector connector(server.endpoint());
    http::Request request("http://a-name-that-is-not-short.test/");
    REQUIRE(!request.set_method("HEAD"));  // its response has no content
    http::Response response;
    std::optional<http::Client> client;
    fail_each(
        engine, [&](Aio& aio) { client->transact(request, response, aio); },
        [&](const Ended& ended) {
            CHECK((response.reason() == "Granted") == !ended.error);
            client.reset();
        },
        [&] {
            client.emplace(connector);
            response.reset();
        });
}

TEST_CASE_TEMPLATE("a lookup in which any one allocation fails reports it or succeeds", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(Kernel::kKind));
    for (const unsigned threads : {0U, 2U}) {
        CAPTURE(threads);
        Resolver resolver({.threads = threads,
                           .cache_time = 0s,
                           .lookup = [](const std::string&, AddressFamily,
                                        std::vector<Endpoint>& out) -> std::error_code {
                               out.push_back(Endpoint::loopback(0));
                               return {};
                           }});
        std::vector<Endpoint> found;
        fail_each(
            engine,
            [&](Aio& aio) {
                resolver.resolve("a-name-that-is-not-short.test", 80, AddressFamily::any, aio,
                                 found);
            },
            [&](const Ended& ended) {
                CHECK(found.empty() == static_cast<bool>(ended.error));
                found = {};
            });
    }
}

// Calls `make` once for each of its allocations, and fails that one: it must throw.
void fail_each_of(const std::function<void()>& make) {
    make();
    std::int64_t blocks = 0;
    unsigned refused = 0;
    bool failed = true;
    for (std::uint64_t others = 0; failed; ++others) {
        CAPTURE(others);
        bool threw = false;
        if (others == 1) blocks = live_allocations();
        fail_allocation_behind(others);
        try {
            make();
        } catch (const std::exception&) {
            threw = true;
        }
        failed = stop_failing();
        CHECK((failed || !threw));
        refused += threw;
        if (others > 0) CHECK(live_allocations() <= blocks);
    }
    CHECK(refused > 0);
}

TEST_CASE_TEMPLATE(
    "an http server's constructor in which any one allocation fails throws and leaks nothing",
    Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);  // binds the thread: else a server's leftovers are freed only later
    fail_each_of([&engine] { const http::Server server(engine); });
    EngineGroup group(3, options_on(Kernel::kKind));
    fail_each_of([&group] { const http::Server server(group); });
}

TEST_CASE_TEMPLATE(
    "a listener's constructor in which any one allocation fails throws and leaves the port free",
    Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    const Endpoint endpoint = tcp::Listener(engine, Endpoint::loopback(0)).local_endpoint();
    fail_each_of([&] { const tcp::Listener listener(engine, endpoint); });
    fail_each_of([&] { tcp::acceptor(endpoint)(engine); });
}

TEST_CASE_TEMPLATE("a drain allocates nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Engine engine(options_on(Kernel::kKind));
    for (int round = 0; round < 3; ++round) {
        http::Server server(engine);
        server.listen(tcp::acceptor(Endpoint::loopback(0)));
        Operation operation(engine);
        engine.run_once(0ns);
        const std::uint64_t before = thread_allocations();
        server.drain(operation.aio);
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!operation.done() && Clock::now() < limit)
            engine.run_once(1ms);
        if (round > 0) CHECK(thread_allocations() == before);  // the first makes what stays
        CHECK(operation.ended() == success(0));
    }
}

}  // namespace uaio::dial_allocation_test
