// The peers of the works: blocking sockets, in the lock step of a Control. Failures throw
// std::system_error or std::runtime_error. One thread.
#pragma once

#include "bench/instructions/works.h"
#include "bench/support/loopback.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::bench {

void send(int fd, std::string_view bytes);
// Receives exactly `size` bytes and drops them.
void receive(int fd, std::size_t size);
// Receives the head of an HTTP message, byte by byte.
std::string receive_head(int fd);
// Receives one HTTP response; returns its size.
std::size_t receive_response(int fd);

// Receives something on a connection.
using Receive = std::function<void(int fd)>;

// Makes kConnections connections to the port that the measured process sends. A batch sends `bytes`
// on each, signals, and then receives on each.
void send_in_batches(Control& control, std::uint64_t batches, std::string_view bytes,
                     const Receive& receive);
// The same with new connections in each batch.
void connect_in_batches(Control& control, std::uint64_t batches, std::string_view bytes,
                        const Receive& receive);

// Receives responses that all have the size of the first.
class ResponseReceiver {
public:
    explicit ResponseReceiver(std::size_t number = 1) : number_(number) {}

    // Receives that number of responses.
    void operator()(int fd) {
        if (size_ == 0) {
            size_ = receive_response(fd);
            if (number_ > 1) receive(fd, (number_ - 1) * size_);
            return;
        }
        receive(fd, number_ * size_);
    }

private:
    std::size_t number_;
    std::size_t size_ = 0;
};

}  // namespace uaio::bench
