// An http::Server whose requests are counted in batches, for the works that serve. One thread.
#pragma once

#include <uaio/http.h>

#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"

#include <cstdint>
#include <functional>
#include <string_view>

namespace uaio::bench {

class CountingServer {
public:
    // A batch has `batch` requests, and the server stops after `count`.
    CountingServer(Control& control, std::uint64_t batch, std::uint64_t count);

    // Adds a route for GET, whose handler completes the response before it returns.
    http::Route& handle(std::string_view path, http::Handler handler);

    Engine& engine() noexcept { return engine_; }

    // Serves at a port of the loopback, which the peer gets; over the acceptors that `wrap` makes.
    void run(const std::function<AcceptorFactory(AcceptorFactory)>& wrap = {});

private:
    void on_request();
    void on_turn();

    Control& control_;
    const std::uint64_t batch_;
    const std::uint64_t count_;
    std::uint64_t requests_ = 0;
    Engine engine_{on_io_uring()};
    http::Server server_{engine_};
    Aio turn_{engine_, [this](Aio&) { on_turn(); }};  // a NOP for each turn that ends a batch
};

}  // namespace uaio::bench
