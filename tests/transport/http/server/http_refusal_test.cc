// Configurations that would serve nothing, or wait for ever, are refused at once, with the reason
// in the message.
#include <uaio/argument_error.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/client_lab.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_refusal_test {

using namespace std::chrono_literals;
using http::Exchange;

// The message of a call's exception.
template <class Exception>
std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Exception& error) {
        return error.what();
    }
    return "no exception was thrown";
}

bool contains(const std::string& text, std::string_view part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

void answer(Exchange& exchange) { exchange.respond("hi"); }

TEST_CASE_TEMPLATE("listen() refuses a factory that returns no usable acceptor", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Engine other(options_on(Kernel::kKind));
    fixture.server().handle("GET", "/", answer);
    const auto refused = [&](const AcceptorFactory& factory) {
        return refusal<std::invalid_argument>([&] { fixture.server().listen(factory); });
    };
    CHECK(contains(refused([](Engine&) { return nullptr; }), "the factory returned no acceptor"));
    CHECK(contains(refused([&](Engine&) {
                       return std::make_unique<tcp::Listener>(other, Endpoint::loopback(0));
                   }),
                   "an acceptor of another engine"));
    CHECK(contains(refused([&](Engine&) {
                       return std::make_unique<local::Listener>(other, fresh_abstract_name());
                   }),
                   "an acceptor of another engine"));
    fixture.listen();  // the refused ones do not affect it
    CHECK(content_of(fixture.get("/")) == "hi");
}

// A user's own acceptor, which does not report its engine.
class Silent final : public Acceptor {
public:
    explicit Silent(Engine& engine) : below_(engine, Endpoint::loopback(0)) {}
    void accept(Aio& aio, StreamPtr& out) override { below_.accept(aio, out); }
    void close() noexcept override { below_.close(); }

private:
    tcp::Listener below_;
};

TEST_CASE_TEMPLATE("a server logs once that an acceptor belongs to another engine", Kernel, OnLinux,
                   OnPoll) {
    std::string log;
    EngineOptions options = options_on(Kernel::kKind);
    options.log = [&](LogLevel, std::string_view text) { log.append(text).append("\n"); };
    Engine engine(options);
    Engine other(options_on(Kernel::kKind));
    http::Server server(engine);
    server.listen([&](Engine&) { return std::make_unique<Silent>(other); });
    REQUIRE(run_until(engine, [&] { return !log.empty(); }));
    run_some(engine);
    CHECK(contains(log, "an acceptor belongs to another engine"));
    CHECK(log.find('\n') == log.size() - 1);
}

TEST_CASE_TEMPLATE("listen() after drain() is refused", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", answer);
    fixture.listen();
    Operation drained(fixture.engine());
    fixture.server().drain(drained.aio);
    CHECK(contains(refusal<std::logic_error>([&] { fixture.listen(); }), "after drain()"));
    REQUIRE(fixture.run_until([&] { return drained.done(); }));
    CHECK(contains(refusal<std::logic_error>([&] { fixture.listen(); }), "after drain()"));
}

TEST_CASE("the constructors of a server and a client refuse a limit of 0 connections") {
    SimKernel kernel(1);
    Engine engine(kernel);
    tcp::Connector connector(Endpoint::loopback(80));
    CHECK(contains(
        refusal<std::invalid_argument>([&] { http::Server server(engine, {.connections = 0}); }),
        "ServerOptions::connections must not be 0"));
    CHECK(contains(
        refusal<std::invalid_argument>([&] { http::Client client(connector, {.connections = 0}); }),
        "ClientOptions::connections must not be 0"));
}

TEST_CASE_TEMPLATE("handle() refuses exactly the paths that no request can match", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const auto refused = [&](std::string_view method, std::string_view path) {
        return refusal<std::invalid_argument>(
            [&] { fixture.server().handle(method, path, answer); });
    };
    for (const std::string path :
         {"", "a", "/a//b", "//", "/a//", "/.", "/..", "/a/../b", "/a/./b", "/a/..", "/../a"}) {
        CAPTURE(path);
        CHECK(contains(refused("GET", path), "path"));
    }
    CHECK(contains(refused("GET", std::string("/a\0b", 4)), "no request can match the path"));
    CHECK(contains(refused("GET", "/a/../b"), "use \"/b\" instead"));
    for (const char* const method : {"G ET", "GET ", "G\nET", "G:ET", "\xc3\xa9"}) {
        CAPTURE(method);
        CHECK(contains(refused(method, "/"), "no request can have the method"));
    }
    CHECK(contains(refused("CONNECT", "/zz"), "CONNECT has the path"));
    CHECK(refused("CONNECT", "/") == "no exception was thrown");
    CHECK(contains(refusal<std::invalid_argument>([&] { fixture.server().handle("", "/", {}); }),
                   "the handler is empty"));
    // The path of a route, and its spelling in a request.
    const struct {
        const char* path;
        const char* target;
    } routes[] = {
        {"/%41", "/%2541"},       {"/100%", "/100%25"}, {"/a b", "/a%20b"},
        {"/a?b#", "/a%3Fb%23"},   {"/a/", "/a/"},       {"/a%2Fb", "/a%2fb"},
        {"/\xc3\xa9", "/%c3%a9"}, {"/...", "/..."},     {"/\\", "/\\"},
    };
    for (const auto& route : routes) {
        fixture.server().handle("GET", route.path,
                                [](Exchange& exchange) { exchange.respond(exchange.path()); });
    }
    fixture.server().handle("get", "/small", answer);
    fixture.listen();
    for (const auto& route : routes) {
        CAPTURE(route.path);
        CHECK(content_of(fixture.get(route.target)) == route.path);
    }
    CHECK(content_of(fixture.ask("get /small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) ==
          "hi");
}

TEST_CASE("handle() refuses a host that no request can have") {
    SimServerFixture fixture;
    http::Route& route = fixture.server().handle("GET", "/", answer);
    for (const char* const host : {"h:80", "h:", "a b", "a/b", "[::1]:80", "::1", "u@h"}) {
        CAPTURE(host);
        CHECK(contains(refusal<std::invalid_argument>([&] { route.host(host); }), "not a host"));
    }
    for (const char* const host : {"", "h", "[::1]", "127.0.0.1", "xn--nxasmq6b"}) {
        CAPTURE(host);
        CHECK(refusal<std::invalid_argument>([&] { route.host(host); }) ==
              "no exception was thrown");
    }
}

TEST_CASE("a server's timeout of zero or less expires at once, as documented") {
    constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    constexpr std::string_view kPost = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    const auto ask = [](const http::ServerOptions& options, std::string_view first,
                        std::string_view rest = "") {
        SimServerFixture fixture(options);
        fixture.server().handle("", "/", answer);
        fixture.listen();
        SimPeer& peer = fixture.connect(first);
        fixture.run_until([&] { return !peer.received().empty() || peer.saw_fin(); });
        peer.send(rest);
        fixture.run_until([&] { return peer.saw_fin() || peer.saw_reset(); });
        return std::string(peer.received());
    };
    const auto least = std::chrono::nanoseconds::min();
    for (const std::chrono::nanoseconds zero : {0ns, -1ns, -1000000000ns, least}) {
        const http::ServerOptions last = {.idle_timeout = 1s, .requests_per_connection = 1};
        http::ServerOptions options = last;
        options.idle_timeout = zero;
        CHECK(ask(options, kGet).empty());
        options = last;
        options.head_timeout = zero;
        CHECK(ask(options, kGet).ends_with("\r\n\r\nhi"));
        CHECK(status_of(ask(options, "GET / HT")) == "HTTP/1.1 408 Request Timeout");
        options = last;
        options.content_timeout = zero;
        CHECK(ask(options, kGet).ends_with("\r\n\r\nhi"));
        CHECK(status_of(ask(options, kPost)) == "HTTP/1.1 408 Request Timeout");
        options = last;
        options.linger_timeout = zero;
        CHECK(ask(options, kGet).ends_with("\r\n\r\nhi"));
    }
}

TEST_CASE("a send_timeout of 0 sends a response at once or not at all") {
    SimServerFixture fixture({.send_timeout = 0s});
    fixture.server().handle("", "/", answer);
    fixture.listen();
    SimPeer& peer = fixture.kernel().connect_peer(80);
    peer.read_nothing();
    peer.set_window(1);
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 1; }));
    CHECK(fixture.time_until([&] { return fixture.server().connections() == 0; }) < 1s);
}

TEST_CASE_TEMPLATE("a client's timeout of zero or less expires at once", Kernel, OnLinux, OnPoll) {
    {
        ClientLab lab(Kernel::kKind, {.connect_timeout = 0ns});
        Asked asked(lab.engine());
        lab.ask(asked);
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == failure(Errc::timed_out));
    }
    ClientLab lab(Kernel::kKind, {.idle_timeout = 0ns});
    for (int i = 0; i < 2; ++i) {
        Asked asked(lab.engine());
        lab.ask(asked);
        RawPeer peer = lab.accept();
        lab.expect(peer, ClientLab::kEnd);
        peer.send(ClientLab::kFive);
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == success(5));
        run_some(lab.engine());
    }
    CHECK(lab.client().statistics().reuses == 0);
}

TEST_CASE_TEMPLATE("a connection without a stream ends every verb with no_stream", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    http::Connection connection{StreamPtr()};
    http::Request request("http://h/");
    http::Response response;
    const std::function<void(Aio&)> verbs[] = {
        [&](Aio& aio) { connection.write_all(aio); },
        [&](Aio& aio) { connection.write(aio); },
        [&](Aio& aio) { connection.read_all(aio); },
        [&](Aio& aio) { connection.read(aio); },
        [&](Aio& aio) { connection.write_request(request, aio); },
        [&](Aio& aio) { connection.write_response(response, aio); },
        [&](Aio& aio) { connection.read_request(request, aio); },
        [&](Aio& aio) { connection.read_response(response, aio); },
        [&](Aio& aio) { connection.read_all(aio); },
    };
    for (const auto& verb : verbs) {
        std::string bytes = "hello";
        Operation operation(fixture.engine(), bytes);
        verb(operation.aio);
        REQUIRE(fixture.run_until_done(operation));
        CHECK(operation.ended() == failure(ArgumentErrc::no_stream));
    }
    CHECK(connection.stream().native_handle() == -1);
    http::Connection moved = std::move(connection);
    Operation operation(fixture.engine(), "x");
    moved.write_all(operation.aio);
    REQUIRE(fixture.run_until_done(operation));
    CHECK(operation.ended() == failure(ArgumentErrc::no_stream));
    moved.close();
}

}  // namespace uaio::http_refusal_test
