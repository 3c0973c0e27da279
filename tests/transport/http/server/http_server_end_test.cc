// How a server and its connections end: early responses, and engines that end first.
#include <uaio/argument_error.h>
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/one_shot.h"
#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <sys/socket.h>

#include <cerrno>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_server_end_test {

using namespace std::chrono_literals;
using http::Exchange;

// The server reads bytes after an early response, up to a timeout: the client gets the response and
// the end of the stream at once, and its send never blocks.
void check_early(const http::Handler& handler, std::string_view status, bool peer_ends) {
    SimServerFixture fixture({.linger_timeout = 3s, .content_limit = 10});
    fixture.server().handle("POST", "/", handler).stream_content();
    fixture.server().handle("POST", "/collected", handler);
    fixture.listen();
    const char* const path = status.find("413") != status.npos ? "/collected" : "/";
    SimPeer& peer = fixture.connect("POST " + std::string(path) +
                                    " HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
    peer.send(std::string(1000000, 'x'));
    const auto answered = fixture.time_until([&] { return peer.saw_fin(); });
    CHECK(answered < 1s);
    CHECK(status_of(peer.received()) == status);
    CHECK(fixture.server().connections() == 1);
    peer.send(std::string(1000000, 'x'));
    REQUIRE(fixture.run_until([&] { return peer.unsent() == 0; }));
    CHECK(!peer.saw_reset());
    CHECK(fixture.server().connections() == 1);
    if (peer_ends) peer.shutdown_write();
    const auto time = fixture.time_until([&] { return fixture.server().connections() == 0; });
    CHECK(time < (peer_ends ? 1s : 4s));
    if (!peer_ends) CHECK(time > 2s);
}

TEST_CASE("a server ends the stream after an early response, and reads the rest of the content") {
    for (const bool peer_ends : {false, true}) {
        CAPTURE(peer_ends);
        check_early([](Exchange& exchange) { exchange.respond(403); }, "HTTP/1.1 403 Forbidden",
                    peer_ends);
        check_early([](Exchange& exchange) { exchange.respond("unused"); },
                    "HTTP/1.1 413 Content Too Large", peer_ends);
        struct Begun {
            Exchange& exchange;
            Aio aio;
            explicit Begun(Exchange& of)
                : exchange(of), aio(of.engine(), [this](Aio&) {
                      exchange.end();
                      delete this;
                  }) {
                REQUIRE(!exchange.response().set_status(204));
                exchange.begin(aio);
            }
        };
        check_early([](Exchange& exchange) { new Begun(exchange); }, "HTTP/1.1 204 No Content",
                    peer_ends);
    }
}

TEST_CASE("a server reads on after its last response if the client may still be sending") {
    SimServerFixture fixture({.linger_timeout = 3s, .requests_per_connection = 1});
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    SimPeer& asks_on = fixture.connect("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return asks_on.saw_fin(); }));
    asks_on.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(fixture.time_until([&] { return fixture.server().connections() == 0; }) > 2s);
    CHECK(asks_on.received().ends_with("hi"));
    CHECK(!asks_on.saw_reset());
    SimPeer& asked_on = fixture.connect(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return asked_on.saw_fin(); }));
    CHECK(fixture.time_until([&] { return fixture.server().connections() == 0; }) > 2s);
    CHECK(!asked_on.saw_reset());
    SimPeer& closes = fixture.connect("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(fixture.time_until(
              [&] { return closes.saw_fin() && fixture.server().connections() == 0; }) < 1s);
}

TEST_CASE_TEMPLATE("abort() closes the connection of a client that is still sending", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Exchange* held = nullptr;
    fixture.server()
        .handle("POST", "/", [&held](Exchange& exchange) { held = &exchange; })
        .stream_content();
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90000000\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return held != nullptr; }));
    const std::string content(1 << 20, 'x');
    for (int full = 0; full < 20;) {
        full = peer.send_some(content) > 0 ? 0 : full + 1;
        fixture.engine().run_once(1ms);
    }
    held->abort();
    // An end of stream would not wake a client that waits for room to send.
    REQUIRE(fixture.run_until(
        [&] { return ::send(peer.fd(), "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN; }));
}

TEST_CASE_TEMPLATE("a server may be destroyed after its engine", Kernel, OnLinux, OnPoll) {
    for (const bool drains : {false, true}) {
        CAPTURE(drains);
        std::optional<Engine> engine(std::in_place, options_on(Kernel::kKind));
        Exchange* held = nullptr;
        int calls = 0;
        http::Server server(*engine);
        server.handle("GET", "/held", [&](Exchange& exchange) { held = &exchange; });
        server.handle("GET", "/", [&](Exchange& exchange) {
            ++calls;
            exchange.respond("hi");
        });
        const Endpoint endpoint = listen_on_loopback(server);
        RawPeer idle = RawPeer::connect_tcp(endpoint);
        RawPeer waits = RawPeer::connect_tcp(endpoint);
        RawPeer begun = RawPeer::connect_tcp(endpoint);
        waits.send("GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
        begun.send("GET / HT");
        idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(run_until(*engine, [&] { return held && server.requests() == 1; }));
        REQUIRE(run_until(*engine, [&] { return server.connections() == 3; }));
        Ended ended;
        if (drains) {
            auto& aio = one_shot(*engine, ended);
            server.drain(aio);
            run_some(*engine);
        }
        engine.reset();
        CHECK(ended.calls == (drains ? 1U : 0U));
        CHECK(server.connections() == 0);
        CHECK(server.requests() == 1);
        CHECK(calls == 1);
        CHECK_THROWS_AS(server.listen(tcp::acceptor(Endpoint::loopback(0))), std::logic_error);
        for (RawPeer* const peer : {&idle, &waits, &begun}) {
            const Clock::time_point limit = Clock::now() + kPatience;
            while (peer->end() == RawPeer::End::open && Clock::now() < limit)
                peer->read_some();
            CHECK(peer->end() != RawPeer::End::open);
        }
    }
}

TEST_CASE_TEMPLATE("a server whose engine never ran may be destroyed before or after the engine",
                   Kernel, OnLinux, OnPoll) {
    std::optional<Engine> engine(std::in_place, options_on(Kernel::kKind));
    std::optional<http::Server> first(std::in_place, *engine);
    http::Server second(*engine);
    first->listen(tcp::acceptor(Endpoint::loopback(0)));
    second.listen(tcp::acceptor(Endpoint::loopback(0)));
    first.reset();
    engine.reset();
    CHECK(second.connections() == 0);
}

TEST_CASE("a server may be destroyed after its group of engines") {
    std::optional<EngineGroup> group(std::in_place, 2);
    http::Server server(*group);
    server.handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    const Endpoint endpoint = listen_on_loopback(server);
    RawPeer peer = RawPeer::connect_tcp(endpoint);
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const Clock::time_point limit = Clock::now() + kPatience;
    while (!peer.received().ends_with("hi")) {
        REQUIRE(Clock::now() < limit);
        peer.read_some();
    }
    group.reset();
    CHECK(server.connections() == 0);
    CHECK(server.requests() == 1);
}

TEST_CASE("a server may be destroyed on an engine that another engine has just asked to drain") {
    EngineGroup group(2);
    auto server = std::make_unique<http::Server>(group);
    server->listen(tcp::acceptor(Endpoint::loopback(0)));
    Ended ended;
    Aio& aio = one_shot(group.engine(0), ended);
    std::promise<void> over;
    group.engine(1).post([&] {
        server->drain(aio);
        // After the drain's start, which posts to this engine, whose mailbox waits for this call.
        std::promise<void> started;
        group.engine(0).post([&] { started.set_value(); });
        started.get_future().wait();
        server.reset();
        group.engine(1).post([&] { over.set_value(); });
    });
    over.get_future().wait();
    std::promise<void> called_back;
    group.engine(0).post([&] { called_back.set_value(); });
    called_back.get_future().wait();
    CHECK(ended == success(0));
}

TEST_CASE_TEMPLATE("a drain ends with an engine that is destroyed before the server", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    std::optional<http::Server> server(std::in_place, engine);
    server->listen(tcp::acceptor(Endpoint::loopback(0)));
    for (const bool completes : {false, true}) {
        CAPTURE(completes);
        std::optional<Engine> other(std::in_place, options_on(Kernel::kKind));
        Ended ended;
        server->drain(one_shot(*other, ended));
        if (completes) {
            REQUIRE(run_until(engine, [&] {
                run_some(*other);
                return ended.calls == 1;
            }));
        }
        other.reset();
        CHECK(ended == (completes ? success(0) : failure(Errc::closed)));
    }
    server.reset();
}

TEST_CASE_TEMPLATE("a drain succeeds if the server is destroyed before the engine runs", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Engine other(options_on(Kernel::kKind));
    for (Engine* const on : {&engine, &other}) {
        std::optional<http::Server> server(std::in_place, engine);
        server->listen(tcp::acceptor(Endpoint::loopback(0)));
        Ended ended;
        server->drain(one_shot(*on, ended));
        server.reset();
        REQUIRE(run_until(*on, [&] { return ended.calls > 0; }));
        CHECK(ended == success(0));
    }
}

TEST_CASE_TEMPLATE("a second drain is refused while the first is pending, and accepted after it",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Engine other(options_on(Kernel::kKind));
    http::Server server(engine);
    Exchange* held = nullptr;
    server.handle("GET", "/", [&](Exchange& exchange) { held = &exchange; });
    const Endpoint endpoint = listen_on_loopback(server);
    RawPeer peer = RawPeer::connect_tcp(endpoint);
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(run_until(engine, [&] { return held != nullptr; }));
    Ended first;
    Ended second;
    Ended third;
    Aio aio(engine, [&](Aio& of) { first = {first.calls + 1, of.result(), of.count()}; });
    server.drain(aio);
    server.drain(one_shot(other, second));
    REQUIRE(run_until(other, [&] { return second.calls > 0; }));
    CHECK(second == failure(ArgumentErrc::drain_in_progress));
    aio.cancel();
    REQUIRE(run_until(engine, [&] { return first.calls > 0; }));
    CHECK(first == failure(Errc::canceled));
    server.drain(one_shot(other, third));
    run_some(other);
    CHECK(third == kPending);
    held->respond("hi");
    REQUIRE(run_until(engine, [&] {
        run_some(other);
        return third.calls > 0;
    }));
    CHECK(third == success(0));
}

}  // namespace uaio::http_server_end_test
