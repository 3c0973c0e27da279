// How a server over TLS ends a connection whose client is still sending.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/kernels.h"
#include "tests/support/tls/ends.h"
#include "tests/support/turns.h"
#include "tests/support/wire.h"

#include <string>

namespace uaio {
namespace {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE(
    "tls: an early response is followed by the closing alert, and what comes is read", Kernel,
    OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    http::Server server(engine, {.content_limit = 10});
    server.handle("POST", "/", [](http::Exchange& exchange) { exchange.respond("unused"); });
    Endpoint endpoint;
    server.listen(tls::acceptor(
        [&](Engine& on) {
            auto listener = std::make_unique<tcp::Listener>(on, Endpoint::loopback(0));
            endpoint = listener->local();
            return listener;
        },
        tls::Context(server_options())));
    tcp::Connector plain(endpoint);
    tls::Connector connector(plain, tls::Context(client_options()), to_localhost());
    StreamPtr stream;
    Operation connected(engine);
    connector.connect(connected.aio, stream);
    REQUIRE(run_until(engine, [&] { return connected.done(); }));
    REQUIRE(connected.ended() == success(0));
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n";
    const std::string content(3000000, 'x');
    Operation asks(engine, head);
    stream->write_all(asks.aio);
    std::string received(10000, '\0');
    Operation reads(engine, received);
    stream->read_all(reads.aio);
    REQUIRE(run_until(engine, [&] { return reads.done(); }));
    CHECK(reads.ended().error == Errc::end_of_stream);
    CHECK(received.starts_with("HTTP/1.1 413 "));
    CHECK(server.connections() == 1);
    Operation sends(engine, content);
    stream->write_all(sends.aio);
    REQUIRE(run_until(engine, [&] { return sends.done(); }));
    CHECK(sends.ended() == success(content.size()));
    CHECK(server.connections() == 1);
    stream.reset();
    REQUIRE(run_until(engine, [&] { return server.connections() == 0; }));
}

}  // namespace
}  // namespace uaio
