// Tls over sockets, of real kernels and of a simulated one: listeners, connectors, https.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/raw_peer.h"
#include "tests/support/tls/ends.h"

#include <optional>
#include <vector>

namespace uaio::tls_live_test {

using namespace std::chrono_literals;

// An engine with a listener on it, and a connector.
class Place {
public:
    explicit Place(KernelKind kind, const tls::ListenerOptions& options = {},
                   const Faults& faults = {}, std::uint64_t seed = 1)
        : server_(server_options()), client_(client_options()) {
        if (kind == OnSim::kKind) {
            kernel_.emplace(seed, faults);
            engine_.emplace(*kernel_);
        } else {
            engine_.emplace(options_on(kind));
        }
        auto below = std::make_unique<tcp::Listener>(*engine_, Endpoint::loopback(0));
        endpoint_ = below->local_endpoint();
        listener_.emplace(*engine_, std::move(below), server_, options);
        tcp_.emplace(endpoint_);
        connector_.emplace(*tcp_, client_, to_localhost());
    }

    Engine& engine() { return *engine_; }
    SimKernel& kernel() { return *kernel_; }
    const Endpoint& endpoint() const { return endpoint_; }
    tls::Listener& listener() { return *listener_; }
    tls::Connector& connector() { return *connector_; }
    const tls::Context& server() { return server_; }
    const tls::Context& client() { return client_; }
    bool run_until(const std::function<bool()>& done) { return uaio::run_until(*engine_, done); }
    // A plain connection to the listener.
    StreamPtr connect_plain() {
        StreamPtr stream;
        Operation connect(*engine_);
        tcp::connect(endpoint_, {}, connect.aio, stream);
        REQUIRE(run_until([&] { return connect.done(); }));
        REQUIRE(stream);
        return stream;
    }

private:
    tls::Context server_;
    tls::Context client_;
    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
    Endpoint endpoint_;
    std::optional<tls::Listener> listener_;
    std::optional<tcp::Connector> tcp_;
    std::optional<tls::Connector> connector_;
};

TEST_CASE_TEMPLATE("a megabyte is transferred both ways over tls and sockets", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Place place(Kernel::kKind);
    StreamPtr client;
    StreamPtr server;
    Operation connect(place.engine());
    Operation accept(place.engine());
    place.listener().accept(accept.aio, server);
    place.connector().connect(connect.aio, client);
    REQUIRE(place.run_until([&] { return connect.done() && accept.done(); }));
    CHECK(connect.ended() == success(0));
    CHECK(accept.ended() == success(0));
    const std::string out = pattern(1 << 20);
    std::string there(out.size(), '\0');
    std::string back(out.size(), '\0');
    Operation write(place.engine(), out);
    Operation answer(place.engine(), out);
    Operation read(place.engine(), there);
    Operation read_back(place.engine(), back);
    client->write_all(write.aio);
    server->write_all(answer.aio);
    server->read_all(read.aio);
    client->read_all(read_back.aio);
    REQUIRE(place.run_until(
        [&] { return write.done() && answer.done() && read.done() && read_back.done(); }));
    CHECK(write.ended() == success(out.size()));
    CHECK(there == out);
    CHECK(back == out);
    CHECK(client->native_handle() >= 0);
    client.reset();
    std::string in(1, '\0');
    Operation end(place.engine(), in);
    server->read(end.aio);
    REQUIRE(place.run_until([&] { return end.done(); }));
    CHECK(end.ended() == failure(Errc::end_of_stream));
}

TEST_CASE_TEMPLATE("silent clients of a tls server do not delay others", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Place place(Kernel::kKind, {.handshake_timeout = 100ms, .handshakes = 8});
    StreamPtr server;
    Operation accept(place.engine());
    place.listener().accept(accept.aio, server);
    std::vector<StreamPtr> silent;
    for (int i = 0; i < 7; ++i)
        silent.push_back(place.connect_plain());
    StreamPtr client;
    Operation connect(place.engine());
    place.connector().connect(connect.aio, client);
    REQUIRE(place.run_until([&] { return connect.done() && accept.done(); }));
    CHECK(accept.ended() == success(0));
    // They are closed after their timeout, so that as many new ones may come.
    std::string in(1, '\0');
    for (const StreamPtr& stream : silent) {
        Operation read(place.engine(), in);
        stream->read(read.aio);
        REQUIRE(place.run_until([&] { return read.done(); }));
        CHECK(static_cast<bool>(read.ended().error));
    }
    CHECK(place.server().failures() == 7);
}

TEST_CASE_TEMPLATE("a tls listener may be destroyed in its failure callback", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    std::optional<tls::Listener> listener;
    std::vector<std::error_code> failures;
    tls::ContextOptions options = server_options();
    options.on_failure = [&](std::error_code error) {
        failures.push_back(error);
        listener.reset();
    };
    auto below = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    const Endpoint place = below->local_endpoint();
    // With one handshake at a time the acceptor below has no accept meanwhile.
    listener.emplace(engine, std::move(below), tls::Context(options),
                     tls::ListenerOptions{.handshakes = 1});
    StreamPtr stream;
    Operation accept(engine);
    listener->accept(accept.aio, stream);
    RawPeer client = RawPeer::connect_tcp(place);
    client.send("this is no handshake\r\n\r\n");
    REQUIRE(run_until(engine, [&] { return accept.done(); }));
    CHECK(accept.ended() == failure(Errc::closed));
    CHECK(failures.size() == 1);
    CHECK(!stream);
}

TEST_CASE_TEMPLATE("a handshake is cancelled and expires at every stage", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Place place(Kernel::kKind);
    for (const bool expires : {false, true}) {
        // No accept is pending, so the server does not answer.
        StreamPtr out;
        Operation connect(place.engine());
        if (expires) connect.aio.set_timeout(20ms);
        place.connector().connect(connect.aio, out);
        run_some(place.engine());
        if (!expires) connect.aio.cancel();
        REQUIRE(place.run_until([&] { return connect.done(); }));
        CHECK(connect.ended() == failure(expires ? Errc::timed_out : Errc::canceled));
        CHECK(!out);
    }
    StreamPtr server;
    Operation accept(place.engine());
    place.listener().accept(accept.aio, server);
    const StreamPtr silent = place.connect_plain();
    run_some(place.engine());
    accept.aio.cancel();
    REQUIRE(place.run_until([&] { return accept.done(); }));
    CHECK(accept.ended() == failure(Errc::canceled));
    Operation again(place.engine());
    place.listener().accept(again.aio, server);
    place.listener().close();
    REQUIRE(place.run_until([&] { return again.done(); }));
    CHECK(again.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("an http server and a client exchange messages over tls", Kernel, OnLinux,
                   OnPoll, OnSim) {
    std::optional<SimKernel> kernel;
    std::optional<Engine> engine;
    if (Kernel::kKind == OnSim::kKind) {
        kernel.emplace(1);
        engine.emplace(*kernel);
    } else {
        engine.emplace(options_on(Kernel::kKind));
    }
    const tls::Context shown(server_options());
    const tls::Context trusted(client_options());
    Endpoint endpoint;
    std::optional<http::Server> server(std::in_place, *engine);
    server->handle("POST", "/echo", [](http::Exchange& exchange) {
        exchange.respond(exchange.request().content());
    });
    server->listen(tls::acceptor(
        [&](Engine& own) {
            auto below = std::make_unique<tcp::Listener>(own, Endpoint::loopback(0));
            endpoint = below->local_endpoint();
            return below;
        },
        shown));
    tcp::Connector below(endpoint);
    tls::Connector connector(below, trusted, to_localhost());
    std::optional<http::Client> client(std::in_place, connector);
    for (const std::size_t size : {1, 100'000, 700'000}) {
        http::Request request("https://localhost/echo");
        REQUIRE(!request.set_method("POST"));
        const std::string content = pattern(size);
        REQUIRE(!request.set_content(content));
        http::Response response;
        Operation transact(*engine);
        client->transact(request, response, transact.aio);
        REQUIRE(run_until(*engine, [&] { return transact.done(); }));
        CHECK(transact.ended() == success(size));
        CHECK(response.content() == content);
    }
    CHECK(client->statistics().connections == 1);
    CHECK(client->statistics().reuses == 2);
    client.reset();
    server.reset();
}

// An exchange on a faulty kernel: its bytes are correct, or it ends with an error.
TEST_CASE("a tls connection on a faulty simulated kernel delivers correct bytes or fails") {
    unsigned whole = 0;
    for (std::uint64_t seed = 1; seed <= (kSanitized ? 40 : 200); ++seed) {
        CAPTURE(seed);
        const Faults faults{.short_write = 300,
                            .short_read = 300,
                            .reset = seed % 2 == 0 ? 3u : 0u,
                            .interrupted_operation = 100,
                            .late_cancel = 200,
                            .reorder = 200,
                            .window = 3000};
        Place place(OnSim::kKind, {}, faults, seed);
        StreamPtr client;
        StreamPtr server;
        Operation connect(place.engine());
        Operation accept(place.engine());
        accept.aio.set_timeout(60s);
        place.listener().accept(accept.aio, server);
        place.connector().connect(connect.aio, client);
        REQUIRE(place.run_until([&] { return connect.done() && accept.done(); }));
        if (!client || !server) continue;
        const std::string out = pattern(30'000);
        std::string in(out.size(), '\0');
        Operation write(place.engine(), out);
        Operation read(place.engine(), in);
        if (seed % 5 == 0) write.aio.set_timeout(std::chrono::nanoseconds(seed * 1000));
        client->write_all(write.aio);
        server->read_all(read.aio);
        if (seed % 7 == 0) {
            place.kernel().at_step(place.kernel().steps() + seed, [&] { write.aio.cancel(); });
        }
        REQUIRE(place.run_until([&] { return write.done(); }));
        client.reset();
        REQUIRE(place.run_until([&] { return read.done(); }));
        CHECK(out.starts_with(in.substr(0, read.ended().count)));
        CHECK(read.ended().count <= write.ended().count);
        if (!write.ended().error) CHECK(write.ended().count == out.size());
        if (!read.ended().error) ++whole;
    }
    CHECK(whole > 20);
}

}  // namespace uaio::tls_live_test
