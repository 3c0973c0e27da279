// A Connector, an Acceptor or a StartTls of a user's that ends without an error and without a
// stream.
#include <uaio/argument_error.h>
#include <uaio/dialer.h>
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"

#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace uaio::no_stream_test {

using namespace std::chrono_literals;

// Ends the Aio without an error.
void finish(Aio& aio) {
    Provider::submit(
        aio.engine(), aio, [](Aio& started) noexcept { Provider::finish(started); }, nullptr);
}

class EmptyConnector : public Connector {
public:
    void connect(Aio& aio, StreamPtr&) override { finish(aio); }
};

// Its first connection has no stream.
class EmptyAcceptor : public Acceptor {
public:
    explicit EmptyAcceptor(Engine& engine) : below_(engine, Endpoint::loopback(80)) {}
    void accept(Aio& aio, StreamPtr& out) override {
        first_ ? finish(aio) : below_.accept(aio, out);
        first_ = false;
    }
    void close() noexcept override { below_.close(); }

private:
    tcp::Listener below_;
    bool first_ = true;
};

TEST_CASE("http::Client reports no_stream for a connector without a stream") {
    SimKernel kernel(1);
    Engine engine(kernel);
    EmptyConnector connector;
    http::Client client(connector);
    http::Request request("http://h/");
    http::Response response;
    Operation asked(engine);
    client.transact(request, response, asked.aio);
    static_cast<void>(asked.aio.wait());
    CHECK(asked.ended() == failure(ArgumentErrc::no_stream));
}

TEST_CASE("Dialer reports no_stream for a start_tls without a stream") {
    SimKernel kernel(1);
    Engine engine(kernel);
    kernel.listen_peer(443);
    DialOptions options;
    options.proxy = "";
    options.start_tls = [](StreamPtr& stream, const std::string&, Aio& aio) {
        stream.reset();
        finish(aio);
    };
    Dialer dialer("https://127.0.0.1", options);
    StreamPtr stream;
    Operation connect(engine);
    dialer.connect(connect.aio, stream);
    static_cast<void>(connect.aio.wait());
    CHECK(connect.ended() == failure(ArgumentErrc::no_stream));
    CHECK(!stream);
}

TEST_CASE("http::Server logs a connection without a stream, and accepts the next one") {
    SimKernel kernel(1);
    std::string log;
    EngineOptions options;
    options.log = [&log](LogLevel, std::string_view text) { log.append(text).append("\n"); };
    Engine engine(kernel, options);
    http::Server server(engine);
    server.handle("GET", "/", [](http::Exchange& exchange) { exchange.respond("hi"); });
    server.listen([](Engine& on) { return std::make_unique<EmptyAcceptor>(on); });
    SimPeer& peer = kernel.connect_peer(80);
    peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int turn = 0; turn < 100 && peer.received().empty(); ++turn)
        engine.run_once(1s);
    CHECK(peer.received().starts_with("HTTP/1.1 200 OK"));
    CHECK(log.find("an acceptor reported a connection, but put no stream") != log.npos);
}

}  // namespace uaio::no_stream_test
