// The lock step of the two processes of a work: the measured one, which valgrind traces, and its
// peer, which runs natively. A socket pair connects their Controls. A batch is sent when the
// measured side has asked for it, and begins when all of its bytes have arrived, so that the
// measured side executes the same instructions however fast its peer is. One thread in each
// process.
#pragma once

#include "bench/support/loopback.h"

#include <cstdint>

namespace uaio::bench {

class Control {
public:
    explicit Control(Descriptor socket) : socket_(std::move(socket)) {}

    // Blocks until the other process calls signal(). Throws std::runtime_error if it has ended.
    void wait();
    void signal();
    // The measured side: asks for the next batch, and blocks until the peer signals that it is
    // there. The peer waits for that before every batch but the first.
    void ask_and_wait() {
        signal();
        wait();
    }

    // The port that the sender listens on.
    void send_port(std::uint16_t port);
    std::uint16_t receive_port();

private:
    Descriptor socket_;
};

// Counts the operations of the measured side, and waits for the peer between batches.
class Batches {
public:
    // REQUIRES: `total` is a multiple of `size`.
    Batches(Control& control, std::uint64_t size, std::uint64_t total) noexcept
        : control_(control), size_(size), left_(total), left_in_batch_(size) {}

    // Counts some operations of one batch. Returns false after the last of all.
    bool count(std::uint64_t operations = 1) {
        left_in_batch_ -= operations;
        if (left_in_batch_ != 0) [[likely]]
            return true;
        return next();
    }

private:
    bool next() {
        left_ -= size_;
        left_in_batch_ = size_;
        if (left_ == 0) return false;
        control_.ask_and_wait();
        return true;
    }

    Control& control_;
    const std::uint64_t size_;
    std::uint64_t left_;
    std::uint64_t left_in_batch_;
};

}  // namespace uaio::bench
