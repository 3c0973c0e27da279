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

    // Submits, waits for a completion, and passes each that is there to `handle`, until that
    // returns false. Returns what `handle` returned last.
    template <class Handle>
    bool turn(Handle handle) {
        io_uring_submit_and_wait(&ring_, 1);
        bool more = true;
        unsigned head = 0;
        unsigned seen = 0;
        io_uring_cqe* cqe = nullptr;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            ++seen;
            more = handle(*cqe);
            if (!more) break;
        }
        io_uring_cq_advance(&ring_, seen);
        return more;
    }

private:
    io_uring_sqe* next_after_submit() noexcept;

    io_uring ring_;
};

}  // namespace uaio::bench
