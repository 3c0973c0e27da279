// An HTTP server under test: an engine that this thread runs, an http::Server on it, and peers that
// talk to it over real sockets on loopback. For one thread.
#pragma once

#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/kernels.h"
#include "tests/support/raw_peer.h"
#include "tests/support/turns.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace uaio {

// Makes the server listen; returns the endpoint.
inline Endpoint listen_on_loopback(http::Server& server) {
    Endpoint endpoint;
    server.listen([&](Engine& engine) {
        auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        endpoint = listener->local_endpoint();
        return listener;
    });
    return endpoint;
}

// A server on an engine that this thread runs.
class ServerFixture {
public:
    explicit ServerFixture(KernelKind kind, http::ServerOptions options = {})
        : engine_(options_on(kind)), server_(std::in_place, engine_, quick(std::move(options))) {}

    http::Server& server() { return *server_; }
    Engine& engine() { return engine_; }
    void drop_server() { server_.reset(); }

    void listen() { endpoint_ = listen_on_loopback(*server_); }
    const Endpoint& endpoint() const { return endpoint_; }
    RawPeer connect() { return RawPeer::connect_tcp(endpoint_); }

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(engine_, done); }
    void run_some() { uaio::run_some(engine_); }
    // The bytes received by the peer once they end with `end` or the connection has ended.
    std::string receive(RawPeer& peer, std::string_view end) {
        REQUIRE(run_until([&] {
            peer.read_some();
            return peer.received().ends_with(end) || peer.end() != RawPeer::End::open;
        }));
        return peer.received();
    }
    // Sends `request`, and returns the bytes received for it once they end with `end`.
    std::string exchange(RawPeer& peer, std::string_view request, std::string_view end) {
        const std::size_t before = peer.received().size();
        peer.send(request);
        REQUIRE(run_until([&] {
            peer.read_some();
            return peer.received().size() > before && peer.received().ends_with(end);
        }));
        return peer.received().substr(before);
    }
    std::string receive_to_end(RawPeer& peer) {
        REQUIRE(run_until([&] {
            peer.read_some();
            return peer.end() != RawPeer::End::open;
        }));
        return peer.received();
    }
    // One request on its own connection; all bytes until its end.
    std::string ask(std::string_view request) {
        RawPeer peer = connect();
        peer.send(request);
        return receive_to_end(peer);
    }
    std::string get(const std::string& target, const std::string& fields = {}) {
        return ask("GET " + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + fields +
                   "\r\n");
    }

private:
    static http::ServerOptions quick(http::ServerOptions options) {
        options.linger_timeout = std::chrono::milliseconds(10);
        return options;
    }

    Engine engine_;
    std::optional<http::Server> server_;
    Endpoint endpoint_;
};

// The parts of a response, as text.
inline std::string content_of(const std::string& response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string::npos ? "" : response.substr(end + 4);
}

inline std::string status_of(const std::string& response) {
    return response.substr(0, response.find("\r\n"));
}

inline bool has_line(const std::string& response, const std::string& line) {
    return response.find("\r\n" + line + "\r\n") != std::string::npos;
}

}  // namespace uaio
