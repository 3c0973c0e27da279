// An HTTP server on a simulated kernel, so that its timeouts take no real time: virtual time passes
// while the engine is idle. For one thread.
#pragma once

#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

namespace uaio {

class SimServerFixture {
public:
    explicit SimServerFixture(http::ServerOptions options = {}, EngineOptions engine = {})
        : engine_(kernel_, engine), server_(engine_, std::move(options)) {}

    SimKernel& kernel() { return kernel_; }
    Engine& engine() { return engine_; }
    http::Server& server() { return server_; }
    void listen() { server_.listen(tcp::acceptor(Endpoint::loopback(80))); }
    // A client that sends this and then nothing.
    SimPeer& connect(std::string_view bytes) {
        SimPeer& peer = kernel_.connect_peer(80);
        peer.send(bytes);
        return peer;
    }

    // Until `done`; false if many turns do not lead there.
    bool run_until(const std::function<bool()>& done) {
        for (int turn = 0; turn < 10000; ++turn) {
            if (done()) return true;
            engine_.run_once(std::chrono::hours(1));
        }
        return done();
    }
    // The virtual time until then.
    std::chrono::nanoseconds time_until(const std::function<bool()>& done) {
        const Clock::time_point begin = engine_.now();
        REQUIRE(run_until(done));
        return engine_.now() - begin;
    }

private:
    SimKernel kernel_{1};
    Engine engine_;
    http::Server server_;
};

}  // namespace uaio
