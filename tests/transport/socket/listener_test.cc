// Listeners beyond accepting: when their address is free again, the lack of descriptors, and
// several engines that share one.
#include <uaio/engine_group.h>
#include <uaio/http_server.h>
#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/turns.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>

#include <doctest/doctest.h>

namespace uaio::listener_test {

using namespace std::chrono_literals;

// Binds as another program would, without SO_REUSEADDR: 0, or an errno.
int bind_error(const Endpoint& endpoint) {
    const int fd = ::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int error = ::bind(fd, endpoint.address(), endpoint.size()) == 0 ? 0 : errno;
    ::close(fd);
    return error;
}

int bind_error(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool abstract = name.front() == '@';
    if (abstract) address.sun_path[0] = '\0';
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    const int error =
        ::bind(fd, reinterpret_cast<sockaddr*>(&address), size + (abstract ? 0 : 1)) == 0 ? 0
                                                                                          : errno;
    ::close(fd);
    if (error == 0 && !abstract) ::unlink(name.c_str());
    return error;
}

EngineOptions logging_on(KernelKind kind, std::vector<std::string>& lines) {
    EngineOptions options = options_on(kind);
    options.log = [&lines](LogLevel, std::string_view line) { lines.emplace_back(line); };
    return options;
}

// ---- the address

constexpr int kRounds = 50;

// A free port, to be requested by its number, as servers do. A port that the kernel chose itself is
// free as soon as its socket stops listening, even while an accept still holds the socket.
Endpoint free_port(Engine& engine) {
    return tcp::Listener(engine, Endpoint::loopback(0)).local_endpoint();
}

TEST_CASE_TEMPLATE("a listener's port is free when its destructor returns on another thread",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    const Endpoint endpoint = free_port(io.engine());
    for (int round = 0; round < kRounds; ++round) {
        StreamPtr server;
        Operation accept(io.engine());
        auto listener = std::make_unique<tcp::Listener>(io.engine(), endpoint);
        if (round % 2 == 0) listener->accept(accept.aio, server);
        listener.reset();
        REQUIRE(bind_error(endpoint) == 0);
        if (round % 2 == 0) CHECK(accept.aio.wait() == Errc::closed);
    }
}

TEST_CASE_TEMPLATE("a listener's port is free when its destructor returns on the engine's thread",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const Endpoint endpoint = free_port(engine);
    std::vector<int> errors;
    std::unique_ptr<tcp::Listener> listener;
    StreamPtr servers[3];
    Operation accepts[] = {Operation(engine), Operation(engine), Operation(engine)};
    for (const bool in_callback : {false, true}) {
        listener = std::make_unique<tcp::Listener>(engine, endpoint);
        for (int i = 0; i < 3; ++i) {
            accepts[i].forget();
            listener->accept(accepts[i].aio, servers[i]);
        }
        engine.run_once(0ns);
        const auto destroy = [&] {
            listener.reset();
            errors.push_back(bind_error(endpoint));
        };
        in_callback ? engine.post(destroy) : destroy();
        for (Operation& accept : accepts)
            CHECK(accept.aio.wait() == Errc::closed);
    }
    CHECK(errors == std::vector<int>{0, 0});
}

TEST_CASE_TEMPLATE("a listener's port is free when a pending accept has ended with closed", Kernel,
                   OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    const Endpoint endpoint = free_port(io.engine());
    for (int round = 0; round < kRounds; ++round) {
        StreamPtr server;
        Operation accept(io.engine());
        tcp::Listener listener(io.engine(), endpoint);
        listener.accept(accept.aio, server);
        listener.close();
        REQUIRE(accept.aio.wait() == Errc::closed);
        REQUIRE(bind_error(endpoint) == 0);
    }
}

TEST_CASE_TEMPLATE("a listener's port is free at once while no thread runs its engine", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    StreamPtr server;
    Operation accept(engine);
    auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    const Endpoint endpoint = listener->local_endpoint();
    listener->accept(accept.aio, server);
    listener.reset();
    CHECK(bind_error(endpoint) == 0);
    CHECK(accept.aio.wait() == Errc::closed);
}

TEST_CASE_TEMPLATE("a unix listener's path or name is free when its destructor returns", Kernel,
                   OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    const TemporaryFolder folder;
    for (const std::string& path : {folder.at("socket"), fresh_abstract_name()}) {
        for (int round = 0; round < kRounds; ++round) {
            StreamPtr server;
            Operation accept(io.engine());
            auto listener = std::make_unique<local::Listener>(io.engine(), path);
            listener->accept(accept.aio, server);
            listener.reset();
            REQUIRE(bind_error(path) == 0);
            CHECK(accept.aio.wait() == Errc::closed);
        }
    }
}

TEST_CASE_TEMPLATE("an http server's port is free when its destructor returns", Kernel, OnLinux,
                   OnPoll) {
    EngineGroup group(2, options_on(Kernel::kKind));
    for (int round = 0; round < kRounds; ++round) {
        const tcp::Acceptors acceptors = tcp::acceptor(Endpoint::loopback(0));
        {
            http::Server server(group);
            server.listen(acceptors);
        }
        REQUIRE(bind_error(acceptors.local_endpoint()) == 0);
    }
}

TEST_CASE("the destructor of a listener does not deadlock with a thread that waits for it") {
    std::vector<std::string> lines;
    EngineOptions options = logging_on(KernelKind::automatic, lines);
    options.drain_timeout = 10ms;
    EngineThread io(options);
    auto listener = std::make_unique<tcp::Listener>(io.engine(), Endpoint::loopback(0));
    std::promise<void> destroyed;
    std::promise<void> waiting;
    io.engine().post([&] {
        waiting.set_value();
        destroyed.get_future().wait();
    });
    waiting.get_future().wait();
    listener.reset();
    CHECK(lines.size() == 1);
    destroyed.set_value();
}

TEST_CASE("a log hook may wait until an engine has closed the listener that it warns of") {
    std::promise<void> warned;
    std::promise<void> closed;
    std::future<void> closing = closed.get_future();
    std::atomic<bool> waited = false;
    EngineOptions options = options_on(KernelKind::automatic);
    options.drain_timeout = 10ms;
    options.log = [&](LogLevel, std::string_view) {
        warned.set_value();
        waited = closing.wait_for(kPatience) == std::future_status::ready;
    };
    EngineThread io(options);
    auto listener = std::make_unique<tcp::Listener>(io.engine(), Endpoint::loopback(0));
    std::promise<void> waiting;
    io.engine().post([&] {
        waiting.set_value();
        warned.get_future().wait();
        // Behind the close, which is in the mailbox.
        io.engine().post([&] { closed.set_value(); });
    });
    waiting.get_future().wait();
    listener.reset();
    CHECK(waited);
}

TEST_CASE(
    "destructors warn of no missing thread while one runs the engine without a drain_timeout") {
    for (const auto drain_timeout : {0ms, std::chrono::milliseconds::min()}) {
        std::vector<std::string> lines;
        EngineOptions options = logging_on(KernelKind::automatic, lines);
        options.drain_timeout = drain_timeout;
        EngineThread io(options);
        const Endpoint endpoint = free_port(io.engine());
        for (int round = 0; round < kRounds; ++round) {
            auto listener = std::make_unique<tcp::Listener>(io.engine(), endpoint);
            listener.reset();
            REQUIRE(bind_error(endpoint) == 0);
            http::Server server(io.engine());
            server.listen(tcp::acceptor(Endpoint::loopback(0)));
        }
        CHECK(lines.empty());
    }
}

TEST_CASE_TEMPLATE("a stream that is closed outside a turn makes its engine readable", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    RawListener listener;
    Operation connect(engine);
    StreamPtr stream;
    tcp::connect(listener.endpoint(), {}, connect.aio, stream);
    REQUIRE(!connect.aio.wait());
    const RawPeer peer = RawPeer::accept_from(listener.fd());
    std::string in(1, '\0');
    Operation read(engine, in);
    REQUIRE(engine.fd() >= 0);
    stream->read(read.aio);
    run_some(engine);
    stream->close();
    pollfd waits{engine.fd(), POLLIN, 0};
    REQUIRE(::poll(&waits, 1, 20'000) == 1);
    for (int turn = 0; turn < 3 && !read.done(); ++turn)
        engine.run_once(0ns);
    CHECK(read.ended() == failure(Errc::closed));
}

// ---- the file

TEST_CASE_TEMPLATE(
    "a unix listener does not remove the socket that a successor has created at its path", Kernel,
    OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    auto first = std::make_unique<local::Listener>(engine, path);
    REQUIRE(::unlink(path.c_str()) == 0);
    const local::Listener successor(engine, path);
    first.reset();
    StreamPtr client;
    Operation connect(engine);
    local::connect(path, {}, connect.aio, client);
    CHECK(!connect.aio.wait());
}

TEST_CASE_TEMPLATE("a unix listener keeps its file if the options request it", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    local::ListenOptions options;
    options.remove_on_close = false;
    { const local::Listener listener(engine, path, options); }
    CHECK(::access(path.c_str(), F_OK) == 0);
}

// ---- without descriptors

TEST_CASE("an accept without a free descriptor waits for one, and is logged once") {
    SimKernel kernel(7);
    std::vector<std::string> lines;
    EngineOptions options;
    options.log = [&lines](LogLevel, std::string_view line) { lines.emplace_back(line); };
    Engine engine(kernel, options);
    tcp::Listener listener(engine, Endpoint::loopback(80));
    StreamPtr server;
    Operation accept(engine);
    const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    for (const int error : errors)
        kernel.script_error(SimCall::accept, error);
    kernel.connect_peer(80);
    listener.accept(accept.aio, server);
    const Clock::time_point begun = engine.now();
    REQUIRE(!accept.aio.wait());
    CHECK(accept.ended() == success(0));
    CHECK(server);
    const auto taken = engine.now() - begun;
    CHECK((taken >= 300ms && taken <= 500ms));
    CHECK(engine.statistics().accept_pauses == 4);
    CHECK(engine.statistics().enters < 100);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("RLIMIT_NOFILE") != std::string::npos);
}

TEST_CASE("an accept without a free descriptor continues when a socket of its engine closes") {
    SimKernel kernel(7);
    Engine engine(kernel);
    tcp::Listener listener(engine, Endpoint::loopback(80));
    StreamPtr first, second;
    Operation accept(engine);
    kernel.connect_peer(80);
    listener.accept(accept.aio, first);
    REQUIRE(!accept.aio.wait());
    kernel.script_error(SimCall::accept, EMFILE);
    kernel.connect_peer(80);
    accept.forget();
    listener.accept(accept.aio, second);
    for (int turn = 0; turn < 10; ++turn)
        engine.run_once(0ns);
    CHECK(accept.ended() == kPending);
    const Clock::time_point begun = engine.now();
    first.reset();
    REQUIRE(!accept.aio.wait());
    CHECK(engine.now() == begun);
    CHECK(second);
}

TEST_CASE("an accept that waits for a descriptor ends by cancel, deadline and close") {
    SimKernel kernel(7);
    Engine engine(kernel);
    auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(80));
    StreamPtr streams[4];
    Operation cancelled(engine), expired(engine), closed(engine), late(engine);
    expired.aio.set_timeout(5ms);
    kernel.script_error(SimCall::accept, EMFILE);
    kernel.connect_peer(80);
    listener->accept(cancelled.aio, streams[0]);
    for (int turn = 0; turn < 10; ++turn)
        engine.run_once(0ns);
    listener->accept(expired.aio, streams[1]);
    listener->accept(closed.aio, streams[2]);
    CHECK(engine.statistics().accept_pauses == 1);
    cancelled.aio.cancel();
    CHECK(cancelled.aio.wait() == Errc::canceled);
    CHECK(expired.aio.wait() == Errc::timed_out);
    CHECK(closed.ended() == kPending);
    listener->close();
    CHECK(closed.aio.wait() == Errc::closed);
    listener->accept(late.aio, streams[3]);
    CHECK(late.aio.wait() == Errc::closed);
    listener.reset();
    CHECK(run_until(engine, [&] { return engine.statistics().in_flight == 0; }));
    CHECK(kernel.open_descriptors() == 0);
}

TEST_CASE_TEMPLATE("a listener accepts again when the process closes a descriptor", Kernel, OnLinux,
                   OnPoll) {
    if (accept_loses_connections()) return report_skip("valgrind loses connections at the limit");
    const KernelKind kind = options_on(Kernel::kKind).kernel;
    const ChildEnd end = run_in_child([kind]() -> std::string {
        EngineOptions options;
        options.kernel = kind;
        unsigned logged = 0;
        options.log = [&logged](LogLevel, std::string_view) { ++logged; };
        Engine engine(options);
        tcp::Listener listener(engine, Endpoint::loopback(0));
        const int spare = ::dup(2);
        const RawPeer peer = RawPeer::connect_tcp(listener.local_endpoint());
        if (!limit_descriptors(0)) return "the limit could not be set";
        StreamPtr server;
        Aio accept(engine);
        listener.accept(accept, server);
        if (!run_until(engine, [&] { return engine.statistics().accept_pauses > 0; }))
            return "the accept did not pause";
        const std::uint64_t enters = engine.statistics().enters;
        engine.run_once(20ms);
        engine.run_once(20ms);
        if (engine.statistics().enters > enters + 10) return "the accept did not back off";
        if (!accept.busy()) return "the accept ended: " + accept.result().message();
        ::close(spare);
        if (accept.wait()) return "the accept failed: " + accept.result().message();
        if (!server) return "no stream";
        return logged == 1 ? "" : "the message was not logged once";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

// ---- several engines

TEST_CASE_TEMPLATE("the engines of a group share the port of one acceptor factory", Kernel, OnLinux,
                   OnPoll) {
    EngineGroup group(3, options_on(Kernel::kKind));
    const tcp::Acceptors factory = tcp::acceptor(Endpoint::loopback(0));
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    for (std::size_t i = 0; i < group.size(); ++i) {
        acceptors.push_back(factory(group.engine(i)));
        CHECK(static_cast<tcp::Listener&>(*acceptors[i]).local_endpoint() ==
              factory.local_endpoint());
    }
    CHECK(factory.local_endpoint().port() != 0);
    CHECK(bind_error(factory.local_endpoint()) == EADDRINUSE);
    CHECK_THROWS_AS(tcp::acceptor(factory.local_endpoint())(group.engine(0)), std::system_error);
    CHECK_THROWS_AS(tcp::Listener(group.engine(0), factory.local_endpoint()), std::system_error);
    // Each of them accepts, independently of the others.
    while (!acceptors.empty()) {
        StreamPtr server;
        Operation accept(group.engine(acceptors.size() - 1));
        acceptors.back()->accept(accept.aio, server);
        const RawPeer peer = RawPeer::connect_tcp(factory.local_endpoint());
        CHECK(!accept.aio.wait());
        CHECK(server);
        acceptors.pop_back();
    }
    // Works by SO_REUSEADDR, since connections of the port are in TIME-WAIT.
    CHECK_NOTHROW(tcp::Listener(group.engine(0), factory.local_endpoint()));
}

TEST_CASE_TEMPLATE("an http server on a group needs no options for any port", Kernel, OnLinux,
                   OnPoll) {
    EngineGroup group(3, options_on(Kernel::kKind));
    http::Server server(group);
    server.handle("GET", "/", [](http::Exchange& exchange) { exchange.respond(204); });
    const tcp::Acceptors factory = tcp::acceptor(Endpoint::loopback(0));
    server.listen(factory);
    Engine engine(options_on(Kernel::kKind));
    for (int i = 0; i < 10; ++i) {
        RawPeer peer = RawPeer::connect_tcp(factory.local_endpoint());
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        REQUIRE(run_until(engine, [&] {
            peer.read_some();
            return peer.end() != RawPeer::End::open;
        }));
        CHECK(peer.received().starts_with("HTTP/1.1 204"));
    }
}

TEST_CASE_TEMPLATE("the listeners of a factory share a path, and the last one removes the file",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    engine.run_once(0ns);
    const TemporaryFolder folder;
    const std::string path = folder.at("socket");
    const AcceptorFactory factory = local::acceptor(path);
    std::unique_ptr<Acceptor> first = factory(engine);
    const std::unique_ptr<Acceptor> second = factory(engine);
    first.reset();
    StreamPtr server, client;
    Operation accept(engine), connect(engine);
    second->accept(accept.aio, server);
    local::connect(path, {}, connect.aio, client);
    CHECK(!connect.aio.wait());
    CHECK(!accept.aio.wait());
    CHECK((server && client));
    second->close();
    CHECK(::access(path.c_str(), F_OK) != 0);
}

}  // namespace uaio::listener_test
