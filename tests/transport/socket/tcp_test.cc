// Tcp listeners and connects. stream_contract_test.cc and the tests of http::Connection test their
// streams.
#include <uaio/engine_group.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <future>
#include <memory>

#include <doctest/doctest.h>

namespace uaio::tcp_test {

using namespace std::chrono_literals;

int option_of(const Stream& stream, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    ::getsockopt(stream.native_handle(), level, name, &value, &size);
    return value;
}

Ended connect_to(Engine& engine, const Endpoint& endpoint, StreamPtr& stream,
                 const tcp::ConnectOptions& options = {}) {
    Operation connect(engine);
    tcp::connect(endpoint, options, connect.aio, stream);
    CHECK(connect.ended() == kPending);
    static_cast<void>(connect.aio.wait());
    return connect.ended();
}

// A listener whose queue is full: further connects wait.
class FullListener {
public:
    FullListener() : listener_(0) {
        waiting_.push_back(RawPeer::connect_tcp(listener_.endpoint()));
    }
    Endpoint endpoint() const { return listener_.endpoint(); }
    // Makes room; the kernel's next attempt to connect succeeds.
    void take_one() { taken_.push_back(RawPeer::accept_from(listener_.fd())); }

private:
    RawListener listener_;
    std::vector<RawPeer> waiting_;
    std::vector<RawPeer> taken_;
};

TEST_CASE_TEMPLATE("both ends of a tcp connection are streams", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    for (const Endpoint& loopback : {Endpoint::loopback(0), Endpoint::loopback6(0)}) {
        tcp::Listener listener(engine, loopback);
        CHECK(listener.local_endpoint().port() != 0);
        CHECK(listener.local_endpoint().family() == loopback.family());
        StreamPtr server;
        StreamPtr client;
        Operation accept(engine);
        listener.accept(accept.aio, server);
        CHECK(connect_to(engine, listener.local_endpoint(), client) == success(0));
        REQUIRE(!accept.aio.wait());
        Operation write(engine, "hello");
        server->write_all(write.aio);
        std::string in(5, '\0');
        Operation read(engine, in);
        client->read_all(read.aio);
        REQUIRE(!read.aio.wait());
        CHECK(in == "hello");
    }
}

TEST_CASE_TEMPLATE("several pending accepts get one connection each", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    tcp::Listener listener(engine, Endpoint::loopback(0));
    constexpr std::size_t kConnections = 20;
    std::vector<StreamPtr> servers(kConnections);
    std::vector<std::unique_ptr<Operation>> accepts;
    for (StreamPtr& server : servers) {
        accepts.push_back(std::make_unique<Operation>(engine));
        listener.accept(accepts.back()->aio, server);
    }
    std::vector<RawPeer> peers;
    for (std::size_t i = 0; i < kConnections; ++i) {
        peers.push_back(RawPeer::connect_tcp(listener.local_endpoint()));
    }
    for (const auto& accept : accepts) {
        CHECK(!accept->aio.wait());
        CHECK(accept->ended() == success(0));
    }
    for (const StreamPtr& server : servers)
        CHECK(server);
}

TEST_CASE_TEMPLATE("an accept can be cancelled or expire without affecting others", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    tcp::Listener listener(engine, Endpoint::loopback(0));
    StreamPtr first, second, third, fourth;
    Operation cancelled(engine), expired(engine), too_late(engine), stays(engine);
    listener.accept(cancelled.aio, first);
    expired.aio.set_timeout(5ms);
    listener.accept(expired.aio, second);
    too_late.aio.set_timeout(0ns);
    listener.accept(too_late.aio, third);
    listener.accept(stays.aio, fourth);
    engine.run_once(0ns);
    cancelled.aio.cancel();
    CHECK(cancelled.aio.wait() == Errc::canceled);
    CHECK(expired.aio.wait() == Errc::timed_out);
    CHECK(too_late.aio.wait() == Errc::timed_out);
    CHECK(stays.ended() == kPending);
    const RawPeer peer = RawPeer::connect_tcp(listener.local_endpoint());
    REQUIRE(!stays.aio.wait());
    CHECK(cancelled.ended() == failure(Errc::canceled));
    CHECK(expired.ended() == failure(Errc::timed_out));
    CHECK((!first && !second && !third && fourth));
}

TEST_CASE("a stream that another thread closes may be destroyed at once on its engine's thread") {
    EngineThread io;
    RawListener listener;
    for (int round = 0; round < 20; ++round) {
        StreamPtr stream;
        Operation connect(io.engine());
        tcp::connect(listener.endpoint(), {}, connect.aio, stream);
        REQUIRE(!connect.aio.wait());
        std::promise<void> closed;
        std::promise<void> gone;
        io.engine().post([&] {
            closed.get_future().wait();
            stream.reset();
            gone.set_value();
        });
        stream->close();
        closed.set_value();
        gone.get_future().wait();
    }
}

TEST_CASE_TEMPLATE("closing a listener ends its accepts and refuses new connections", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    tcp::Listener listener(engine, Endpoint::loopback(0));
    StreamPtr server;
    Operation accept(engine);
    listener.accept(accept.aio, server);
    engine.run_once(0ns);
    listener.close();
    CHECK(accept.aio.wait() == Errc::closed);
    CHECK(accept.ended() == failure(Errc::closed));
    accept.forget();
    listener.accept(accept.aio, server);
    CHECK(accept.aio.wait() == Errc::closed);
    CHECK(accept.ended() == failure(Errc::closed));
    StreamPtr client;
    CHECK(connect_to(engine, listener.local_endpoint(), client) ==
          failure({ECONNREFUSED, std::system_category()}));
    CHECK((!server && !client));
}

TEST_CASE_TEMPLATE("a connect that is refused, expires or is cancelled returns no stream (X-5)",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const std::size_t before = open_descriptors();
    StreamPtr client;
    const Endpoint unused = RawListener().endpoint();
    CHECK(connect_to(engine, unused, client) == failure({ECONNREFUSED, std::system_category()}));

    const FullListener full;
    const std::size_t with_listener = open_descriptors();
    Operation expired(engine);
    expired.aio.set_timeout(20ms);
    tcp::connect(full.endpoint(), {}, expired.aio, client);
    CHECK(expired.aio.wait() == Errc::timed_out);
    CHECK(expired.ended() == failure(Errc::timed_out));

    Operation cancelled(engine);
    tcp::connect(full.endpoint(), {}, cancelled.aio, client);
    engine.run_once(0ns);
    CHECK(cancelled.ended() == kPending);
    cancelled.aio.cancel();
    CHECK(cancelled.aio.wait() == Errc::canceled);
    CHECK(cancelled.ended() == failure(Errc::canceled));

    Operation no_time(engine);
    no_time.aio.set_timeout(0ns);
    tcp::connect(full.endpoint(), {}, no_time.aio, client);
    CHECK(no_time.aio.wait() == Errc::timed_out);
    Operation stopped(engine);
    stopped.aio.stop();
    tcp::connect(full.endpoint(), {}, stopped.aio, client);
    CHECK(stopped.aio.wait() == Errc::canceled);
    CHECK(!client);
    CHECK(open_descriptors() == with_listener);
    CHECK(with_listener > before);
}

TEST_CASE_TEMPLATE("cancelling the second of two connects does not affect the first (X-6)", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    FullListener full;
    StreamPtr first, second;
    Operation first_connect(engine), second_connect(engine);
    tcp::connect(full.endpoint(), {}, first_connect.aio, first);
    tcp::connect(full.endpoint(), {}, second_connect.aio, second);
    engine.run_once(0ns);
    second_connect.aio.cancel();
    CHECK(second_connect.aio.wait() == Errc::canceled);
    CHECK(second_connect.ended() == failure(Errc::canceled));
    CHECK(first_connect.ended() == kPending);
    full.take_one();
    REQUIRE(!first_connect.aio.wait());  // at the kernel's next SYN, a second later
    CHECK(first_connect.ended() == success(0));
    CHECK((first && !second));
}

TEST_CASE_TEMPLATE("the constructor of a listener reports the call that failed and its reason",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const std::size_t before = open_descriptors();
    const tcp::Listener listener(engine, Endpoint::loopback(0));
    try {
        const tcp::Listener second(engine, listener.local_endpoint());
        FAIL("the call was not refused");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::address_in_use);
        const std::string what = error.what();
        CHECK(what.find("bind") != std::string::npos);
        CHECK(what.find(listener.local_endpoint().to_string()) != std::string::npos);
        CHECK(what.find("port 0") != std::string::npos);
    }
    Endpoint elsewhere;
    REQUIRE(!Endpoint::parse("192.0.2.1:0", elsewhere));
    CHECK_THROWS_AS(tcp::Listener(engine, elsewhere), std::system_error);
    CHECK(open_descriptors() == before + 1);
}

TEST_CASE_TEMPLATE("several listeners share a port with reuse_port", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    tcp::ListenOptions options;
    options.reuse_port = true;
    tcp::Listener first(engine, Endpoint::loopback(0), options);
    const std::unique_ptr<Acceptor> second = tcp::acceptor(first.local_endpoint(), options)(engine);
    std::vector<StreamPtr> servers(2);
    Operation accepts[] = {Operation(engine), Operation(engine)};
    first.accept(accepts[0].aio, servers[0]);
    second->accept(accepts[1].aio, servers[1]);
    std::vector<RawPeer> peers;
    const Clock::time_point limit = Clock::now() + kPatience;
    while (!accepts[0].done() || !accepts[1].done()) {
        REQUIRE(Clock::now() < limit);
        peers.push_back(RawPeer::connect_tcp(first.local_endpoint()));
        engine.run_once(1ms);
    }
    CHECK(accepts[0].ended() == success(0));
    CHECK(accepts[1].ended() == success(0));
}

TEST_CASE_TEMPLATE("socket options reach accepted and connecting sockets", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    StreamOptions stream;
    stream.keep_alive = true;
    stream.send_buffer = 20'000;
    stream.receive_buffer = 30'000;
    tcp::ListenOptions listen;
    tcp::ConnectOptions connect;
    for (const bool no_delay : {true, false}) {
        stream.no_delay = no_delay;
        listen.stream = stream;
        connect.stream = stream;
        tcp::Listener listener(engine, Endpoint::loopback(0), listen);
        StreamPtr server, client;
        Operation accept(engine);
        listener.accept(accept.aio, server);
        REQUIRE(connect_to(engine, listener.local_endpoint(), client, connect) == success(0));
        REQUIRE(!accept.aio.wait());
        for (const StreamPtr& end : {std::ref(server), std::ref(client)}) {
            CHECK((option_of(*end, IPPROTO_TCP, TCP_NODELAY) != 0) == no_delay);
            CHECK(option_of(*end, SOL_SOCKET, SO_KEEPALIVE) != 0);
            CHECK(option_of(*end, SOL_SOCKET, SO_SNDBUF) == 40'000);  // socket(7): doubled
            CHECK(option_of(*end, SOL_SOCKET, SO_RCVBUF) == 60'000);
        }
    }
}

TEST_CASE_TEMPLATE("keep-alive times out of range are refused, however large they are", Kernel,
                   OnLinux, OnPoll) {
    using std::chrono::seconds;
    Engine engine(options_on(Kernel::kKind));
    tcp::Listener listener(engine, Endpoint::loopback(0));
    for (const seconds time : {seconds((1LL << 32) + 5), seconds::max(), seconds::min(),
                               seconds(-(1LL << 32) + 5), seconds(0), seconds(32768)}) {
        for (const bool idle : {false, true}) {
            CAPTURE(time.count());
            StreamOptions options;
            options.keep_alive = true;
            (idle ? options.keep_alive_idle : options.keep_alive_interval) = time;
            StreamPtr stream;
            Operation connect(engine);
            tcp::ConnectOptions to;
            to.stream = options;
            tcp::connect(listener.local_endpoint(), to, connect.aio, stream);
            static_cast<void>(connect.aio.wait());
            CHECK(connect.ended() == failure({EINVAL, std::system_category()}));
            tcp::ListenOptions on;
            on.stream = options;
            CHECK_THROWS_AS(tcp::Listener(engine, Endpoint::loopback(0), on), std::system_error);
        }
    }
}

TEST_CASE_TEMPLATE("a connect can set its local address", Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const RawListener listener;
    Endpoint local;
    REQUIRE(!Endpoint::parse("127.0.0.5:0", local));
    tcp::ConnectOptions options;
    options.local = local;
    StreamPtr client;
    REQUIRE(connect_to(engine, listener.endpoint(), client, options) == success(0));
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    ::getsockname(client->native_handle(), reinterpret_cast<sockaddr*>(&peer), &size);
    CHECK(Endpoint::from(reinterpret_cast<sockaddr*>(&peer), size)
              .to_string()
              .starts_with("127.0.0.5:"));
    client.reset();
    REQUIRE(!Endpoint::parse("192.0.2.1:0", local));
    options.local = local;
    CHECK(connect_to(engine, listener.endpoint(), client, options) ==
          failure({EADDRNOTAVAIL, std::system_category()}));
    CHECK(!client);
}

TEST_CASE_TEMPLATE("a connect without a free descriptor ends with EMFILE", Kernel, OnLinux,
                   OnPoll) {
    const KernelKind kind = options_on(Kernel::kKind).kernel;
    const ChildEnd end = run_in_child([kind]() -> std::string {
        EngineOptions options;
        options.kernel = kind;
        Engine engine(options);
        tcp::Listener listener(engine, Endpoint::loopback(0));
        if (!limit_descriptors(0)) return "the limit could not be set";
        StreamPtr client;
        Aio connect(engine);
        tcp::connect(listener.local_endpoint(), {}, connect, client);
        const std::error_code error = connect.wait();
        return error == std::errc::too_many_files_open ? "" : error.message();
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

// Connects, writes, closes, with `kParallel` in flight; both ends are streams of this engine.
void cycle(Engine& engine, tcp::Listener& listener, std::size_t cycles) {
    constexpr std::size_t kParallel = 50;
    const Endpoint endpoint = listener.local_endpoint();
    StreamPtr servers[kParallel];
    StreamPtr clients[kParallel];
    char bytes[kParallel][16];
    std::vector<std::unique_ptr<Aio>> aios;
    for (std::size_t i = 0; i < 2 * kParallel; ++i)
        aios.push_back(std::make_unique<Aio>(engine));
    const auto wait_for_all = [&aios] {
        bool ok = true;
        for (const auto& aio : aios)
            ok = !aio->wait() && ok;
        return ok;
    };
    for (std::size_t done = 0; done < cycles; done += kParallel) {
        for (std::size_t i = 0; i < kParallel; ++i) {
            listener.accept(*aios[2 * i], servers[i]);
            tcp::connect(endpoint, {}, *aios[2 * i + 1], clients[i]);
        }
        REQUIRE(wait_for_all());
        for (std::size_t i = 0; i < kParallel; ++i) {
            aios[2 * i]->set_iov("sixteen bytes...", 16);
            servers[i]->write_all(*aios[2 * i]);
            aios[2 * i + 1]->set_iov(bytes[i], 16);
            clients[i]->read_all(*aios[2 * i + 1]);
        }
        REQUIRE(wait_for_all());
        for (StreamPtr& server : servers)
            server.reset();
        for (StreamPtr& client : clients)
            client.reset();
    }
}

TEST_CASE_TEMPLATE("a hundred thousand connects, writes and closes leak nothing", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const std::size_t all = Kernel::kKind == KernelKind::io_uring ? 100'000 : 20'000;
    const std::size_t cycles = kSanitized ? 2'000 : all;
    tcp::Listener listener(engine, Endpoint::loopback(0));
    cycle(engine, listener, 200);
    engine.run_once(0ns);
    const std::size_t descriptors = open_descriptors();
    const std::int64_t blocks = live_allocations();
    cycle(engine, listener, cycles);
    engine.run_once(0ns);
    CHECK(open_descriptors() == descriptors);
    CHECK(engine.statistics().in_flight == 0);
    if (allocations_are_counted()) CHECK(live_allocations() == blocks);
}

}  // namespace uaio::tcp_test
