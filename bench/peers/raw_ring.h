// An io_uring with the same setup as an Engine's, used through liburing alone: the floor of the
// library's cost. Belongs to the thread that makes it.
#pragma once

#include <liburing.h>

namespace uaio::bench {

class RawRing {
public:
    // Throws Unavailable if the kernel refuses the ring.
    RawRing();
    ~RawRing() { io_uring_queue_exit(&ring_); }
    RawRing(const RawRing&) = delete;
    RawRing& operator=(const RawRing&) = delete;

    io_uring* get() noexcept { return &ring_; }

    // Returns the next entry; submits first if the queue is full.
    io_uring_sqe* next() noexcept {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        if (!sqe) [[unlikely]]
            sqe = next_after_submit();
        return sqe;
    }

private:
    io_uring_sqe* next_after_submit() noexcept;

    io_uring ring_;
};

}  // namespace uaio::bench
