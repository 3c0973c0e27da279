// The two rings of io_uring in plain memory, for the kernels that are not io_uring: SimKernel and
// PollKernel own one each, take SQEs out of it and post CQEs into it. Reader and writer may be the
// same thread or two (the kernel's side is one thread); heads and tails are published with release
// and read with acquire, as io_uring_enter(2) requires of both sides.
#pragma once

#include "engine/kernel/kernel.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <liburing.h>

namespace uaio {

class MemoryRing {
public:
    // Sizes are rounded up to powers of two, as io_uring_setup(2) does. Throws std::bad_alloc.
    MemoryRing(unsigned sq_entries, unsigned cq_entries);

    MemoryRing(const MemoryRing&) = delete;
    MemoryRing& operator=(const MemoryRing&) = delete;

    // The engine's side of this memory, valid as long as the ring.
    RingView view() noexcept;

    // Copies the oldest published SQE to `out` and frees its slot; false when there is none.
    bool take(io_uring_sqe& out) noexcept;

    // SQEs published and not taken yet.
    unsigned queued() const noexcept;

    // Makes room for `count` more completions, in the ring or held back, beside those that the
    // engine has not taken yet. False without memory. The room stays: each post() uses up one place
    // of it, and each completion that the engine takes frees one.
    bool reserve(std::size_t count) noexcept;
    // True if there is room for so many already.
    bool has_room(std::size_t count) const noexcept {
        return overflow_head_ + behind_ring(count) <= overflow_.capacity();
    }

    // Posts one completion. When the ring is full, holds it back in order (as IORING_FEAT_NODROP
    // promises); true when it went into the ring itself. Holding back may throw std::bad_alloc,
    // unless reserve() made room for it.
    bool post(std::uint64_t user_data, int res, unsigned flags);

    // Moves completions that were held back into the ring, oldest first, as far as there is room.
    void flush_overflow() noexcept;

    // True while completions are held back.
    bool overflowed() const noexcept { return held_back() > 0; }

    // Completions in the ring that the engine has not taken yet; those held back are not counted.
    unsigned ready() const noexcept;

    unsigned submission_entries() const noexcept { return sq_mask_ + 1; }
    unsigned completion_entries() const noexcept { return cq_mask_ + 1; }

private:
    struct Completion {
        std::uint64_t user_data;
        int res;
        unsigned flags;
    };

    bool full() const noexcept { return ready() == completion_entries(); }
    std::size_t held_back() const noexcept { return overflow_.size() - overflow_head_; }
    // The number to be held back once there are `count` more.
    std::size_t behind_ring(std::size_t count) const noexcept {
        const std::size_t all = ready() + held_back() + count;
        return all > completion_entries() ? all - completion_entries() : 0;
    }
    bool invariants_hold() const noexcept;
    void publish(const Completion& completion) noexcept;

    unsigned sq_mask_;
    unsigned cq_mask_;
    std::unique_ptr<io_uring_sqe[]> sqes_;
    std::unique_ptr<io_uring_cqe[]> cqes_;

    // Heads and tails only ever grow and wrap at 2^32; mutable because std::atomic_ref, through
    // which each of them is accessed, takes no const object before C++26.
    mutable unsigned sq_head_ = 0;
    mutable unsigned sq_tail_ = 0;
    mutable unsigned cq_head_ = 0;
    mutable unsigned cq_tail_ = 0;

    std::vector<Completion> overflow_;  // those before overflow_head_ have gone into the ring
    std::size_t overflow_head_ = 0;
};

}  // namespace uaio
