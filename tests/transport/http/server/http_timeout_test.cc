// No operation of HTTP waits for a peer for ever: sends and reads of the server and the client have
// timeouts, at whichever byte the peer stops.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/server_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_timeout_test {

using namespace std::chrono_literals;
using http::Exchange;
using http::Request;
using http::Response;

// Answers with content in pieces, none of which has a deadline.
class Pieces {
public:
    static void answer(Exchange& exchange) { new Pieces(exchange); }

private:
    explicit Pieces(Exchange& exchange)
        : exchange_(exchange), aio_(exchange.engine(), [this](Aio&) { next(); }) {
        exchange_.begin(aio_);
    }
    void next() {
        if (aio_.result() || step_ == 3) {
            step_ == 3 && !aio_.result() ? exchange_.end() : exchange_.abort();
            delete this;
            return;
        }
        if (++step_ == 3) return exchange_.writer().finish(aio_);
        aio_.set_iov("hello", 5);
        exchange_.writer().write(aio_);
    }

    Exchange& exchange_;
    int step_ = 0;
    Aio aio_;
};

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_CASE("timeouts beyond the range of the clock never expire") {
    constexpr auto kEver = std::chrono::nanoseconds::max() - 1ns;
    SimServerFixture fixture({.head_timeout = kEver,
                              .idle_timeout = kEver,
                              .content_timeout = kEver,
                              .send_timeout = kEver,
                              .linger_timeout = kEver});
    fixture.server().handle("POST", "/", [](Exchange& exchange) { exchange.respond("hello"); });
    fixture.listen();
    SimPeer& peer = fixture.connect("POST / HT");
    const auto wait = [&] {
        const Clock::time_point end = fixture.engine().now() + 10h;
        REQUIRE(fixture.run_until([&] { return fixture.engine().now() >= end; }));
        CHECK(fixture.server().connections() == 1);
    };
    wait();
    peer.send("TP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx");
    wait();
    peer.send("x");
    REQUIRE(fixture.run_until([&] { return fixture.server().requests() == 1; }));
    CHECK(peer.received().starts_with("HTTP/1.1 200 OK"));
    wait();
}

TEST_CASE("send_timeout ends a response at every byte where the client stops reading") {
    for (const bool pieces : {false, true}) {
        CAPTURE(pieces);
        std::size_t whole = 0;
        for (std::size_t window = 1; whole == 0 || window < whole; ++window) {
            CAPTURE(window);
            SimServerFixture fixture(
                {.idle_timeout = 1000s, .send_timeout = 7s, .linger_timeout = 1s});
            fixture.server().handle("GET", "/", [&](Exchange& exchange) {
                pieces ? Pieces::answer(exchange) : exchange.respond("hello");
            });
            fixture.listen();
            SimPeer& peer = fixture.kernel().connect_peer(80);
            if (whole > 0) {
                peer.read_nothing();
                peer.set_window(window);
            }
            peer.send(kGet);
            if (whole == 0) {  // first learns the size
                REQUIRE(fixture.run_until([&] {
                    return fixture.server().requests() == 1 && peer.received().size() > 100;
                }));
                whole = peer.received().size();
                window = 0;
                continue;
            }
            REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 1; }));
            const auto time =
                fixture.time_until([&] { return fixture.server().connections() == 0; });
            CHECK(time >= 7s);
            CHECK(time <= 3 * 7s + 2s);
        }
        CHECK(whole > 100);
    }
}

TEST_CASE("a streamed response whose head is not read ends its Aio with timed_out") {
    SimServerFixture fixture({.send_timeout = 7s});
    std::error_code error;
    struct Head {
        Exchange& exchange;
        std::error_code& error;
        Aio aio;
        Head(Exchange& of, std::error_code& out)
            : exchange(of), error(out), aio(of.engine(), [this](Aio&) {
                  error = aio.result();
                  exchange.abort();
                  delete this;
              }) {
            exchange.begin(aio);
        }
    };
    fixture.server().handle("GET", "/", [&](Exchange& exchange) { new Head(exchange, error); });
    fixture.listen();
    SimPeer& peer = fixture.kernel().connect_peer(80);
    peer.set_window(10);
    peer.read_nothing();
    peer.send(kGet);
    CHECK(fixture.time_until([&] { return error != std::error_code(); }) >= 7s);
    CHECK(error == Errc::timed_out);
    CHECK(fixture.run_until([&] { return fixture.server().connections() == 0; }));
}

TEST_CASE("a client that reads slowly, but within send_timeout, receives the whole response") {
    SimServerFixture fixture({.send_timeout = 7s});
    const std::string content(100000, 'x');
    fixture.server().handle("GET", "/", [&](Exchange& exchange) { exchange.respond(content); });
    fixture.listen();
    SimPeer& peer = fixture.kernel().connect_peer(80);
    peer.set_window(1000);
    peer.read_slowly(10);
    peer.send(kGet);
    CHECK(fixture.run_until([&] { return peer.received().ends_with(content); }));
}

TEST_CASE("content_timeout limits a read of content without a deadline of its own") {
    for (const bool own : {false, true}) {
        SimServerFixture fixture({.content_timeout = 9s});
        std::error_code error;
        struct Read {
            Exchange& exchange;
            std::error_code& error;
            char buffer[10];
            Aio aio;
            Read(Exchange& of, std::error_code& out)
                : exchange(of), error(out), aio(of.engine(), [this](Aio&) {
                      error = aio.result();
                      exchange.respond(408);
                      delete this;
                  }) {
                aio.set_iov(buffer, sizeof buffer);
            }
        };
        fixture.server()
            .handle("POST", "/",
                    [&](Exchange& exchange) {
                        auto* const read = new Read(exchange, error);
                        if (own) read->aio.set_timeout(30s);
                        exchange.reader().read(read->aio);
                    })
            .stream_content();
        fixture.listen();
        fixture.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
        const auto time = fixture.time_until([&] { return error != std::error_code(); });
        CHECK(error == Errc::timed_out);
        CHECK(time >= (own ? 30s : 9s));
        CHECK(time < (own ? 31s : 10s));
    }
}

TEST_CASE("idle_timeout ends and head_timeout starts at the first byte of a head") {
    SimServerFixture fixture({.head_timeout = 20s, .idle_timeout = 75s});
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    SimPeer& slow = fixture.kernel().connect_peer(80);
    SimPeer& stalled = fixture.kernel().connect_peer(80);
    SimPeer& line_end = fixture.kernel().connect_peer(80);
    fixture.kernel().schedule(74s, [&] {
        slow.send("G");
        stalled.send("G");
        line_end.send("\r\n");  // begins no head
    });
    fixture.kernel().schedule(90s, [&] { slow.send(kGet.substr(1)); });
    const auto closed = fixture.time_until([&] { return line_end.saw_fin(); });
    CHECK(closed >= 75s);
    CHECK(closed < 76s);
    CHECK(line_end.received().empty());
    const auto answered = fixture.time_until([&] { return slow.received().ends_with("hi"); });
    CHECK(closed + answered >= 90s);
    CHECK(status_of(slow.received()) == "HTTP/1.1 200 OK");
    const auto refused = fixture.time_until([&] { return stalled.received().size() > 0; });
    CHECK(closed + answered + refused >= 94s);
    CHECK(closed + answered + refused < 95s);
    CHECK(status_of(stalled.received()) == "HTTP/1.1 408 Request Timeout");
}

TEST_CASE("ConnectionOptions::send_timeout limits messages and content, but not raw writes") {
    SimKernel kernel(1);
    Engine engine(kernel);
    SimListener& listener = kernel.listen_peer(90);
    listener.read_nothing();
    listener.set_window(10);
    tcp::Connector connector(Endpoint::loopback(90));
    StreamPtr stream;
    Operation connected(engine);
    connector.connect(connected.aio, stream);
    CHECK(!connected.aio.wait());
    http::Connection connection(std::move(stream), {.send_timeout = 5s});
    const std::string bytes(20, 'x');
    Operation raw(engine, bytes);
    connection.write_all(raw.aio);
    Request request("http://h/");
    Operation message(engine);
    connection.write_request(request, message.aio);
    for (int turn = 0; turn < 1000 && !message.done(); ++turn)
        engine.run_once(1h);
    CHECK(message.ended() == failure(Errc::timed_out));
    CHECK(!raw.done());
}

TEST_CASE("a client's request that the server does not read ends at send_timeout") {
    SimKernel kernel(1);
    Engine engine(kernel);
    SimListener& listener = kernel.listen_peer(90);
    listener.read_nothing();
    listener.set_window(10);
    tcp::Connector connector(Endpoint::loopback(90));
    http::Client client(connector, {.send_timeout = 5s});
    Request request("http://h/");
    Response response;
    Operation asked(engine);
    client.transact(request, response, asked.aio);
    const Clock::time_point begin = engine.now();
    for (int turn = 0; turn < 1000 && !asked.done(); ++turn)
        engine.run_once(1h);
    CHECK(asked.ended() == failure(Errc::timed_out));
    CHECK(engine.now() - begin >= 5s);
    CHECK(engine.now() - begin < 6s);
}

TEST_CASE_TEMPLATE("a message queued behind a blocked write ends at send_timeout", Kernel, OnLinux,
                   OnPoll) {
    ConnectionFixture fixture(Kernel::kKind, {.http = {.send_timeout = 20ms}});
    const std::string bytes(ConnectionFixture::kBlocking, 'x');
    Operation raw(fixture.engine(), bytes);
    fixture.connection().write_all(raw.aio);
    REQUIRE(fixture.run_until_blocked());
    Request request("http://h/");
    Operation message(fixture.engine());
    fixture.connection().write_request(request, message.aio);
    REQUIRE(fixture.run_until_done(message));
    CHECK(message.ended() == failure(Errc::timed_out));
    CHECK(!raw.done());
}

}  // namespace uaio::http_timeout_test
