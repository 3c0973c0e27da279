// Which of several addresses a Dialer connects to, and when, by the virtual time of a simulated
// kernel; how a socket is set up, on real ones.
#include <uaio/argument_error.h>
#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/proxy_scene.h"
#include "tests/support/turns.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include <doctest/doctest.h>

namespace uaio::dialer_race_test {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 80;

Endpoint at(const std::string& address, std::uint16_t port = kPort) {
    Endpoint endpoint;
    REQUIRE(!Endpoint::parse_address(address, port, endpoint));
    return endpoint;
}

// Addresses of this machine that listen, or that accept no connections although they do.
class Race {
public:
    void listen(const std::string& address) {
        listeners_.push_back(std::make_unique<tcp::Listener>(engine, at(address)));
    }
    // A listener whose only queue place is taken: further connects wait.
    void black_hole(const std::string& address) {
        tcp::ListenOptions options;
        options.backlog = 0;
        listeners_.push_back(std::make_unique<tcp::Listener>(engine, at(address), options));
        Operation fill(engine);
        tcp::connect(at(address), {}, fill.aio, fillers_.emplace_back());
        REQUIRE(!fill.aio.wait());
    }
    // How a connect to these ends; sets `taken` to its duration.
    Ended run(const std::string& addresses, DialOptions options = quiet_options()) {
        options.resolve = {"origin.test:80:" + addresses};
        Dialer dialer("http://origin.test", options);
        Operation connect(engine);
        const Clock::time_point begun = engine.now();
        dialer.connect(connect.aio, stream, report);
        static_cast<void>(connect.aio.wait());
        taken = std::chrono::duration_cast<std::chrono::milliseconds>(engine.now() - begun);
        return connect.ended();
    }
    std::string peer() const { return report.peer ? report.peer->host() : ""; }

    SimKernel kernel{5};
    Engine engine{kernel};
    StreamPtr stream;
    DialReport report;
    std::chrono::milliseconds taken{0};

private:
    std::vector<std::unique_ptr<tcp::Listener>> listeners_;
    std::vector<StreamPtr> fillers_;
};

TEST_CASE("a race tries the next address at once after a refusal (67)") {
    Race race;
    race.listen("127.0.0.1");
    CHECK(race.run("::1,127.0.0.1") == success(0));
    CHECK(race.peer() == "127.0.0.1");
    CHECK((race.taken == 0ms && race.report.attempts == 2));
    CHECK(race.run("127.0.0.2,127.0.0.3,127.0.0.1") == success(0));
    CHECK((race.taken == 0ms && race.report.attempts == 3));
}

TEST_CASE("a race tries the next address of either family after the delay (67)") {
    Race race;
    race.black_hole("::1");
    race.black_hole("127.0.0.3");
    race.listen("127.0.0.1");
    CHECK(race.run("127.0.0.1,::1") == success(0));
    CHECK((race.peer() == "127.0.0.1" && race.taken == 200ms && race.report.attempts == 2));
    CHECK(race.run("127.0.0.3,127.0.0.1") == success(0));
    CHECK((race.peer() == "127.0.0.1" && race.taken == 200ms));
    CHECK(race.run("::1,127.0.0.3,127.0.0.1") == success(0));
    CHECK((race.peer() == "127.0.0.1" && race.taken == 400ms && race.report.attempts == 3));
    DialOptions options = quiet_options();
    options.attempt_delay = 50ms;
    CHECK(race.run("::1,127.0.0.1", options) == success(0));
    CHECK(race.taken == 50ms);
    // A failure in between starts the next attempt early, and the delay counts from there.
    CHECK(race.run("::1,127.0.0.2,127.0.0.3,127.0.0.1") == success(0));
    CHECK(race.taken == 400ms);
    race.stream.reset();
    race.engine.run_once(0ns);
    CHECK(race.kernel.pending_operations() == 0);
}

TEST_CASE("a race tries IPv6 first, unless the options name a family") {
    Race race;
    race.listen("::1");
    race.listen("127.0.0.1");
    CHECK(race.run("127.0.0.1,::1") == success(0));
    CHECK((race.peer() == "::1" && race.report.attempts == 1));
    DialOptions options = quiet_options();
    options.family = AddressFamily::v4;
    CHECK(race.run("::1,127.0.0.1", options) == success(0));
    CHECK(race.peer() == "127.0.0.1");
    CHECK(race.run("::1", options) == failure(ResolveErrc::no_address));
}

TEST_CASE("a race ends with the last failure, and the timeout ends every attempt") {
    Race race;
    const std::error_code refused{ECONNREFUSED, std::system_category()};
    CHECK(race.run("::1,127.0.0.1") == failure(refused));
    CHECK((race.report.phase == DialPhase::connect && race.report.connections == 0));
    race.black_hole("::1");
    race.black_hole("127.0.0.1");
    DialOptions options = quiet_options();
    options.timeout = 500ms;
    const std::size_t before = race.kernel.open_descriptors();
    CHECK(race.run("::1,127.0.0.1", options) == failure(Errc::timed_out));
    CHECK((race.taken == 500ms && race.report.attempts == 2));
    CHECK(race.kernel.open_descriptors() == before);
    options.attempts_at_once = 1;
    CHECK(race.run("::1,127.0.0.1", options) == failure(Errc::timed_out));
    CHECK(race.report.attempts == 1);
    CHECK(race.kernel.open_descriptors() == before);
}

TEST_CASE("a race that fails names the address that failed last, or that had not answered") {
    Race race;
    const std::error_code refused{ECONNREFUSED, std::system_category()};
    CHECK(race.run("::1,127.0.0.2") == failure(refused));
    CHECK(race.peer() == "127.0.0.2");
    race.black_hole("127.0.0.3");
    DialOptions options = quiet_options();
    options.timeout = 500ms;
    for (const char* const addresses : {"127.0.0.2,127.0.0.3", "127.0.0.3,127.0.0.2"}) {
        CHECK(race.run(addresses, options) == failure(Errc::timed_out));
        CHECK(race.peer() == "127.0.0.3");
    }
}

TEST_CASE("a race cancelled at every step leaks nothing") {
    std::uint64_t last = 1;
    std::uint64_t canceled = 0;
    for (std::uint64_t step = 1; step <= last; ++step) {
        Race race;
        race.black_hole("::1");
        race.listen("127.0.0.1");
        const std::size_t before = race.kernel.open_descriptors();
        const std::uint64_t begun = race.kernel.steps();
        bool over = false;
        DialOptions options = quiet_options();
        options.resolve = {"origin.test:80:::1,127.0.0.2,127.0.0.1"};
        Dialer dialer("http://origin.test", options);
        Operation connect(race.engine);
        dialer.connect(connect.aio, race.stream);
        race.kernel.at_step(begun + step, [&] {
            if (!over) connect.aio.cancel();
        });
        static_cast<void>(connect.aio.wait());
        over = true;
        last = race.kernel.steps() - begun;
        REQUIRE(connect.ended().calls == 1);
        REQUIRE((!connect.ended().error || connect.ended().error == Errc::canceled));
        canceled += static_cast<bool>(connect.ended().error);
        REQUIRE(static_cast<bool>(race.stream) == !connect.ended().error);
        REQUIRE(race.kernel.open_descriptors() == before + (race.stream ? 2 : 0));
    }
    CHECK(last > 5);
    CHECK(canceled >= last / 4);
}

// ---- on real sockets

struct Live {
    explicit Live(KernelKind kind) : engine(options_on(kind)) {}
    Ended dial(const std::string& target, const DialOptions& options) {
        Dialer dialer(target, options);
        Operation connect(engine);
        dialer.connect(connect.aio, stream, report);
        static_cast<void>(connect.aio.wait());
        return connect.ended();
    }
    int option(int level, int name) const {
        int value = -1;
        socklen_t size = sizeof value;
        ::getsockopt(stream->native_handle(), level, name, &value, &size);
        return value;
    }
    Endpoint local_endpoint() const {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        ::getsockname(stream->native_handle(), reinterpret_cast<sockaddr*>(&storage), &size);
        return Endpoint::from(reinterpret_cast<sockaddr*>(&storage), size);
    }
    Engine engine;
    StreamPtr stream;
    DialReport report;
};

std::string url(const Endpoint& endpoint) { return "tcp://" + endpoint.to_string(); }

TEST_CASE_TEMPLATE("a dialer's socket has the requested options", Kernel, OnLinux, OnPoll) {
    Live live(Kernel::kKind);
    const RawListener listener;
    DialOptions options = quiet_options();
    REQUIRE(live.dial(url(listener.endpoint()), options) == success(0));
    CHECK(live.option(IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(live.option(SOL_SOCKET, SO_KEEPALIVE) == 0);
    options.stream.keep_alive = true;
    REQUIRE(live.dial(url(listener.endpoint()), options) == success(0));
    CHECK(live.option(SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPIDLE) == 60);
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPINTVL) == 60);
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPCNT) == 9);
    options.stream.keep_alive_idle = 7s;
    options.stream.keep_alive_interval = 8s;
    options.stream.keep_alive_probes = 3;
    REQUIRE(live.dial(url(listener.endpoint()), options) == success(0));
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPIDLE) == 7);
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPINTVL) == 8);
    CHECK(live.option(IPPROTO_TCP, TCP_KEEPCNT) == 3);
}

TEST_CASE_TEMPLATE("a dialer connects from the address, ports and interface of its options", Kernel,
                   OnLinux, OnPoll) {
    Live live(Kernel::kKind);
    const RawListener listener;
    DialOptions options = quiet_options();
    options.local_address = "127.0.0.5";
    REQUIRE(live.dial(url(listener.endpoint()), options) == success(0));
    CHECK(live.local_endpoint().host() == "127.0.0.5");
    // A port in use, and the following ones.
    const tcp::Listener taken(live.engine, at("127.0.0.5", 0));
    options.local_port = taken.local_endpoint().port();
    const std::error_code in_use{EADDRINUSE, std::system_category()};
    StreamPtr none;
    CHECK(live.dial(url(listener.endpoint()), options) == failure(in_use));
    options.local_ports = 100;
    REQUIRE(live.dial(url(listener.endpoint()), options) == success(0));
    const int tried = live.local_endpoint().port() - options.local_port;
    CHECK((tried > 0 && tried < 100));
    options.local_port = 0;
    options.local_address = "192.0.2.1";
    const std::error_code not_ours{EADDRNOTAVAIL, std::system_category()};
    CHECK(live.dial(url(listener.endpoint()), options) == failure(not_ours));
    options.local_address = "::1";
    CHECK(live.dial(url(listener.endpoint()), options) == failure(ResolveErrc::no_address));
    options.local_address.clear();
    options.interface = "no-such-interface";
    const std::error_code no_device{ENODEV, std::system_category()};
    CHECK(live.dial(url(listener.endpoint()), options) == failure(no_device));
    options.interface = std::string("lo\0x", 4);
    CHECK(live.dial(url(listener.endpoint()), options) == failure(no_device));
    options.interface = "lo";
    CHECK(live.dial(url(listener.endpoint()), options) == success(0));
}

TEST_CASE_TEMPLATE("a dialer reaches a unix socket (65)", Kernel, OnLinux, OnPoll) {
    Live live(Kernel::kKind);
    const std::string path = fresh_abstract_name();
    local::Listener listener(live.engine, path);
    DialOptions options = quiet_options("http://127.0.0.1:1");  // which is not used
    options.unix_path = path;
    CHECK(live.dial("http://origin.test", options) == success(0));
    CHECK(live.report.resolve == 0ns);
    CHECK(!live.report.peer);
    options.unix_path = fresh_abstract_name();
    const std::error_code refused{ECONNREFUSED, std::system_category()};
    CHECK(live.dial("http://origin.test", options) == failure(refused));
    options.unix_path = std::string("/tmp\0/socket", 12);
    CHECK(live.dial("http://origin.test", options) == failure(ArgumentErrc::invalid_endpoint));
}

TEST_CASE_TEMPLATE("a dial can be cancelled in each phase on real sockets", Kernel, OnLinux,
                   OnPoll) {
    const std::size_t before = open_descriptors();
    {
        Live live(Kernel::kKind);
        const RawListener silent;
        const std::size_t open = open_descriptors();
        for (const char* proxy : {"http", "socks5h", "socks4a"}) {
            for (const bool cancels : {true, false}) {
                Dialer dialer("http://origin.test",
                              quiet_options(proxy + ("://" + silent.endpoint().to_string())));
                Operation connect(live.engine);
                if (!cancels) connect.aio.set_timeout(20ms);
                dialer.connect(connect.aio, live.stream, live.report);
                REQUIRE(
                    run_until(live.engine, [&] { return live.report.phase == DialPhase::proxy; }));
                if (cancels) connect.aio.cancel();
                CHECK(connect.aio.wait() == (cancels ? Errc::canceled : Errc::timed_out));
                CHECK(connect.ended().calls == 1);
                CHECK(open_descriptors() == open);
            }
        }
    }
    CHECK(open_descriptors() == before);
}

}  // namespace uaio::dialer_race_test
