// An easy connection over TLS, and the tls stream at its other end. For one thread.
#pragma once

#include <uaio/easy.h>
#include <uaio/tcp.h>

#include "tests/support/easy_ends.h"
#include "tests/support/tls/ends.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace uaio {

// An easy connection to a tls stream of this library, on one engine.
struct Secured {
    explicit Secured(KernelKind kind, tls::Version version = tls::Version::tls_1_3) {
        if (kind == OnSim::kKind) kernel.emplace(1);
        kernel ? engine.emplace(*kernel) : engine.emplace(options_on(kind));
        tcp::ListenOptions small;
        small.stream.send_buffer = 16384;
        small.stream.receive_buffer = 16384;
        auto below = std::make_unique<tcp::Listener>(*engine, Endpoint::loopback(0), small);
        const std::string url = "tls://" + below->local_endpoint().to_string();
        tls::Listener listener(*engine, std::move(below), tls::Context(server_options(version)));
        Operation accept(*engine);
        listener.accept(accept.aio, server);
        connection.emplace(*engine);
        easy::Options options;
        options.proxy = "";
        options.tls_context = tls::Context(client_options(version));
        options.stream.send_buffer = 16384;
        Operation connect(*engine);
        connection->connect(url, options, connect.aio);
        REQUIRE(run_until([&] { return connect.done() && accept.done(); }));
        REQUIRE(connect.ended() == success(0));
        REQUIRE(accept.ended() == success(0));
    }

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(*engine, done); }
    Transferred try_send(std::string_view text) {
        return connection->try_send(std::as_bytes(std::span(text.data(), text.size())));
    }
    std::string try_receive(std::size_t size, Transferred expected) {
        std::string room(size, '\0');
        const Transferred result = connection->try_receive(std::as_writable_bytes(std::span(room)));
        CHECK(result == expected);
        room.resize(result.count);
        return room;
    }
    Ended wait_for(Direction direction) {
        Operation wait(*engine);
        connection->wait_for(direction, wait.aio);
        REQUIRE(run_until([&] { return wait.done(); }));
        return wait.ended();
    }
    void serve(std::string_view text) {
        Operation write(*engine, text);
        server->write_all(write.aio);
        REQUIRE(run_until([&] { return write.done(); }));
        REQUIRE(write.ended() == success(text.size()));
    }
    std::string served(std::size_t size) {
        std::string room(size, '\0');
        Operation read(*engine, room);
        server->read_all(read.aio);
        REQUIRE(run_until([&] { return read.done(); }));
        REQUIRE(read.ended() == success(size));
        return room;
    }

    std::optional<SimKernel> kernel;
    std::optional<Engine> engine;
    StreamPtr server;
    std::optional<easy::Connection> connection;
};

}  // namespace uaio
