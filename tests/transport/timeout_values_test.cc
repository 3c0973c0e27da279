// Every public timeout at the ends of its range: one of zero or less has passed, however negative
// it is, and the largest never passes.
#include <uaio/dialer.h>
#include <uaio/easy.h>
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/sim_server_fixture.h"

#include <chrono>
#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::timeout_values_test {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr nanoseconds kPassed[] = {nanoseconds::min(), nanoseconds(-9'000'000'000'000'000'000),
                                   -1ns, 0ns};
constexpr nanoseconds kEver[] = {nanoseconds::max() - 1ns, nanoseconds::max()};

struct Sim {
    Sim() { kernel.listen_peer(4000); }
    // Runs a few turns, in which virtual time passes.
    Ended end_of(Operation& operation) {
        for (int turn = 0; turn < 1000 && !operation.done(); ++turn)
            engine.run_once(1h);
        return operation.ended();
    }

    SimKernel kernel{1};
    Engine engine{kernel};
};

Ended dial(const DialOptions& options) {
    Sim sim;
    Dialer dialer("tcp://127.0.0.1:4000", options);
    StreamPtr stream;
    Operation connect(sim.engine);
    dialer.connect(connect.aio, stream);
    const Ended ended = sim.end_of(connect);
    CHECK((stream != nullptr) == !ended.error);
    return ended;
}

Ended connect_easily(const easy::Options& options) {
    Sim sim;
    easy::Connection connection(sim.engine);
    Operation connect(sim.engine);
    connection.connect("tcp://127.0.0.1:4000", options, connect.aio);
    return sim.end_of(connect);
}

TEST_CASE("no connect succeeds within a DialOptions::timeout of zero or less") {
    for (const nanoseconds timeout : kPassed) {
        CAPTURE(timeout.count());
        CHECK(dial({.timeout = timeout, .proxy = ""}) == failure(Errc::timed_out));
        easy::Options options;
        options.proxy = "";
        options.timeout = timeout;
        CHECK(connect_easily(options) == failure(Errc::timed_out));
    }
    for (const nanoseconds timeout : kEver) {
        CHECK(dial({.timeout = timeout, .proxy = ""}) == success(0));
        easy::Options options;
        options.proxy = "";
        options.timeout = timeout;
        CHECK(connect_easily(options) == success(0));
    }
}

TEST_CASE("an attempt_delay at either end of its range makes the first attempt at once") {
    const auto dial_with = [](nanoseconds delay) {
        DialOptions options;
        options.proxy = "";
        options.attempt_delay = delay;
        return dial(options);
    };
    for (const nanoseconds delay : kPassed)
        CHECK(dial_with(delay) == success(0));
    for (const nanoseconds delay : kEver)
        CHECK(dial_with(delay) == success(0));
}

// Reads a request whose head comes in two pieces, and writes a request that does not fit.
struct HttpEnds {
    std::error_code read;
    std::error_code written;
};

HttpEnds use_connection(const http::ConnectionOptions& options) {
    Sim sim;
    SimListener& listener = sim.kernel.listen_peer(90);
    listener.read_nothing();
    listener.set_window(10);
    Operation connected(sim.engine);
    StreamPtr stream;
    tcp::connect(Endpoint::loopback(90), {}, connected.aio, stream);
    REQUIRE(sim.end_of(connected) == success(0));
    http::Connection connection(std::move(stream), options);
    http::Request incoming;
    http::Request outgoing("http://h/");
    Operation read(sim.engine);
    Operation write(sim.engine);
    connection.read_request(incoming, read.aio);
    connection.write_request(outgoing, write.aio);
    SimPeer& peer = *listener.peers().at(0);
    peer.send("GET / HTTP/1.1\r\n");
    sim.kernel.schedule(1h, [&] {
        peer.send("Host: h\r\n\r\n");
        peer.set_window(1000);
        peer.read_everything();
    });
    return {sim.end_of(read).error, sim.end_of(write).error};
}

TEST_CASE("the timeouts of a connection expire at once at zero or less, and never at the largest") {
    for (const nanoseconds timeout : kPassed) {
        CAPTURE(timeout.count());
        const HttpEnds ends = use_connection({.head_timeout = timeout, .send_timeout = timeout});
        CHECK(ends.read == Errc::timed_out);
        CHECK(ends.written == Errc::timed_out);
    }
    for (const nanoseconds timeout : kEver) {
        const HttpEnds ends = use_connection({.head_timeout = timeout, .send_timeout = timeout});
        CHECK(ends.read == std::error_code());
        CHECK(ends.written == std::error_code());
    }
}

TEST_CASE("the timeouts of a server expire at once at zero or less, and never at the largest") {
    const auto ask = [](const http::ServerOptions& options) {
        SimServerFixture fixture(options);
        fixture.server().handle("", "/", [](http::Exchange& exchange) { exchange.respond("hi"); });
        fixture.listen();
        SimPeer& peer = fixture.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx");
        for (int turn = 0; turn < 10 && peer.received().empty() && !peer.saw_fin(); ++turn)
            fixture.engine().run_once(1s);
        peer.send("x");
        fixture.run_until([&] { return !peer.received().empty() || peer.saw_fin(); });
        return peer.received().substr(0, 12);
    };
    for (const nanoseconds timeout : kPassed) {
        CAPTURE(timeout.count());
        CHECK(ask({.idle_timeout = timeout}) == "");
        CHECK(ask({.content_timeout = timeout}) == "HTTP/1.1 408");
        CHECK(ask({.head_timeout = timeout}) == "HTTP/1.1 200");
        CHECK(ask({.send_timeout = timeout}) == "HTTP/1.1 200");
        CHECK(ask({.linger_timeout = timeout}) == "HTTP/1.1 200");
    }
    for (const nanoseconds timeout : kEver) {
        CHECK(ask({.head_timeout = timeout,
                   .idle_timeout = timeout,
                   .content_timeout = timeout,
                   .send_timeout = timeout,
                   .linger_timeout = timeout}) == "HTTP/1.1 200");
    }
}

TEST_CASE("the timeouts of a client expire at once at zero or less, and never at the largest") {
    const auto ask = [](const http::ClientOptions& options) {
        Sim sim;
        SimListener& listener = sim.kernel.listen_peer(90);
        listener.on_accept([](SimPeer& peer) {
            peer.on_receive(
                [](SimPeer& from) { from.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"); });
        });
        tcp::Connector connector(Endpoint::loopback(90));
        http::Client client(connector, options);
        http::Request request("http://h/");
        http::Response response;
        Operation asked(sim.engine);
        client.transact(request, response, asked.aio);
        return sim.end_of(asked);
    };
    for (const nanoseconds timeout : kPassed) {
        CAPTURE(timeout.count());
        CHECK(ask({.connect_timeout = timeout}) == failure(Errc::timed_out));
        CHECK(ask({.send_timeout = timeout}) == success(2));
        CHECK(ask({.idle_timeout = timeout}) == success(2));
    }
    for (const nanoseconds timeout : kEver) {
        CHECK(ask({.connect_timeout = timeout, .send_timeout = timeout, .idle_timeout = timeout}) ==
              success(2));
    }
}

TEST_CASE("the timeout of an Aio has passed at zero or less, and never passes at the largest") {
    for (const nanoseconds timeout : kPassed) {
        Sim sim;
        Operation connect(sim.engine);
        StreamPtr stream;
        connect.aio.set_timeout(timeout);
        tcp::connect(Endpoint::loopback(4000), {}, connect.aio, stream);
        CHECK(sim.end_of(connect) == failure(Errc::timed_out));
        connect.forget();
        connect.aio.set_timeout(kNoTimeout);
        connect.aio.set_deadline(Clock::time_point(timeout));
        tcp::connect(Endpoint::loopback(4000), {}, connect.aio, stream);
        CHECK(sim.end_of(connect) == failure(Errc::timed_out));
        sim.engine.run_once(timeout);
    }
    for (const nanoseconds timeout : kEver) {
        Sim sim;
        Operation connect(sim.engine);
        StreamPtr stream;
        connect.aio.set_timeout(timeout);
        tcp::connect(Endpoint::loopback(4000), {}, connect.aio, stream);
        CHECK(sim.end_of(connect) == success(0));
    }
}

}  // namespace uaio::timeout_values_test
