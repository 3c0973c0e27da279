// The connections of the load: on each, one exchange at a time sends the same request and receives
// a response of a known number of bytes. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace uaio::bench {

struct Exchange {
    std::uint16_t port = 0;
    std::string request;
    std::size_t response = 0;  // bytes
};

class Exchanger {
public:
    using Clock = std::chrono::steady_clock;
    // Called with the index of a connection that has received a response; may begin the next
    // exchange there.
    using OnResponse = std::function<void(std::size_t index)>;

    Exchanger() = default;
    virtual ~Exchanger() = default;
    Exchanger(const Exchanger&) = delete;
    Exchanger& operator=(const Exchanger&) = delete;

    // Sends the request on an idle connection.
    virtual void begin(std::size_t index) = 0;
    // Waits for a response or a part of one, at most until `limit`, and handles all that are there.
    // Throws std::runtime_error if a connection ended early.
    virtual void turn(Clock::time_point limit) = 0;
    // Exchanges that have begun and not ended.
    virtual std::size_t active() const noexcept = 0;
};

// Raw io_uring, as cheap as it can be, so that the server is the slower side; the kernel drops the
// responses (MSG_TRUNC, tcp(7)). With `closes` the server ends each connection after its response,
// and each exchange connects anew. Throws std::system_error, and Unavailable if the kernel refuses
// the ring.
std::unique_ptr<Exchanger> plain_exchanger(const Exchange& exchange, std::size_t connections,
                                           bool closes, Exchanger::OnResponse on_response);

// TLS 1.3 with AES-256-GCM by OpenSSL over epoll(7); does not verify the server. Throws
// std::runtime_error if a handshake fails.
std::unique_ptr<Exchanger> tls_exchanger(const Exchange& exchange, std::size_t connections,
                                         Exchanger::OnResponse on_response);

}  // namespace uaio::bench
