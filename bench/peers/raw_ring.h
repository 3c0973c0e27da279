// An io_uring set up as an Engine sets up its own, and used through liburing alone: the floor below
// the library. Belongs to the thread that makes it.
#pragma once

#include <liburing.h>

namespace uaio::bench {

class RawRing {
public:
    // Throws Unavailable if the kernel refuses it.
    RawRing();
    ~RawRing() { io_uring_queue_exit(&ring_); }
    RawRing(const RawRing&) = delete;
    RawRing& operator=(const RawRing&) = delete;

    io_uring* get() noexcept { return &ring_; }

    // The next entry; submits first if there is none.
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
