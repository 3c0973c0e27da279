// The connections of the load: on each, one exchange at a time sends the same request and receives
// a response of a known number of bytes, which the kernel drops (MSG_TRUNC, tcp(7)). Raw io_uring,
// as cheap as it can be, so that the server is the slower side. One thread.
#pragma once

#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace uaio::bench {

struct Exchange {
    std::uint16_t port = 0;
    std::string request;
    std::size_t response = 0;  // bytes
    bool closes = false;       // the server ends each connection after the response
};

class Exchanger {
public:
    using Clock = std::chrono::steady_clock;

    // Makes the connections; `on_response` is called with the index of one that has received a
    // response, and may begin the next exchange there. Throws std::system_error, and Unavailable if
    // the kernel refuses the ring.
    Exchanger(const Exchange& exchange, std::size_t connections,
              std::function<void(std::size_t)> on_response);

    std::size_t size() const noexcept { return connections_.size(); }
    std::size_t active() const noexcept { return active_; }

    // Sends the request on an idle connection; connects anew first, if the server ends connections.
    void begin(std::size_t index);
    // Submits, waits for a completion, at most until `limit`, and handles all that are there.
    // Throws std::runtime_error if a connection ended early.
    void turn(Clock::time_point limit);

private:
    struct Connection {
        Descriptor socket;
        std::size_t received = 0;
    };

    void receive(std::size_t index, bool is_first);
    void on_completion(const io_uring_cqe& cqe);
    void finish(std::size_t index);

    const Exchange exchange_;
    const std::function<void(std::size_t)> on_response_;
    RawRing ring_;
    std::vector<Connection> connections_;
    std::size_t active_ = 0;
};

}  // namespace uaio::bench
