#include "engine/kernel/memory_ring.h"

#include "base/check.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <new>

namespace uaio {
namespace {

// The sizes without IORING_SETUP_SQE128 and CQE32. Both types end in an array without a size, which
// copies and arrays of them leave out.
static_assert(sizeof(io_uring_sqe) == 64);
static_assert(sizeof(io_uring_cqe) == 16);

unsigned load_acquire(unsigned& value) noexcept {
    return std::atomic_ref<unsigned>(value).load(std::memory_order_acquire);
}

void store_release(unsigned& value, unsigned to) noexcept {
    std::atomic_ref<unsigned>(value).store(to, std::memory_order_release);
}

}  // namespace

MemoryRing::MemoryRing(unsigned sq_entries, unsigned cq_entries)
    : sq_mask_(std::bit_ceil(sq_entries) - 1),
      cq_mask_(std::bit_ceil(cq_entries) - 1),
      sqes_(std::make_unique<io_uring_sqe[]>(sq_mask_ + 1)),
      cqes_(std::make_unique<io_uring_cqe[]>(cq_mask_ + 1)) {
    DCHECK(view().is_consistent());
}

// Safe while the engine's side moves its head and tail.
bool MemoryRing::invariants_hold() const noexcept {
    // The completions that have gone into the ring leave the list with the last one.
    const bool trimmed = overflow_head_ == 0 || overflow_head_ < overflow_.size();
    return trimmed && queued() <= submission_entries() && ready() <= completion_entries();
}

RingView MemoryRing::view() noexcept {
    RingView view;
    view.sqes = sqes_.get();
    view.sq_head = &sq_head_;
    view.sq_tail = &sq_tail_;
    view.sq_mask = sq_mask_;
    view.cqes = cqes_.get();
    view.cq_head = &cq_head_;
    view.cq_tail = &cq_tail_;
    view.cq_mask = cq_mask_;
    return view;
}

bool MemoryRing::take(io_uring_sqe& out) noexcept {
    DCHECK(invariants_hold());
    if (queued() == 0) return false;
    // Only this side writes the head, so reading it needs no ordering.
    const unsigned head = std::atomic_ref<unsigned>(sq_head_).load(std::memory_order_relaxed);
    out = sqes_[head & sq_mask_];
    // Released only after the copy: from here on the engine may fill the slot again.
    store_release(sq_head_, head + 1);
    return true;
}

unsigned MemoryRing::queued() const noexcept {
    return load_acquire(sq_tail_) -
           std::atomic_ref<unsigned>(sq_head_).load(std::memory_order_relaxed);
}

bool MemoryRing::reserve(std::size_t count) noexcept {
    const std::size_t behind = behind_ring(count);
    if (overflow_head_ + behind <= overflow_.capacity()) return true;
    overflow_.erase(overflow_.begin(),
                    overflow_.begin() + static_cast<std::ptrdiff_t>(overflow_head_));
    overflow_head_ = 0;
    if (behind <= overflow_.capacity()) return true;
    try {
        overflow_.reserve(std::max(behind, 2 * overflow_.capacity()));
    } catch (const std::bad_alloc&) {
        return false;
    }
    DCHECK(has_room(count));
    return true;
}

bool MemoryRing::post(std::uint64_t user_data, int res, unsigned flags) {
    DCHECK(invariants_hold());
    const Completion completion{user_data, res, flags};
    flush_overflow();
    if (overflowed() || full()) {
        if (!reserve(1)) throw std::bad_alloc();
        overflow_.push_back(completion);
        return false;
    }
    publish(completion);
    return true;
}

void MemoryRing::flush_overflow() noexcept {
    while (overflowed() && !full())
        publish(overflow_[overflow_head_++]);
    if (overflow_head_ == overflow_.size()) {
        overflow_.clear();
        overflow_head_ = 0;
    }
    DCHECK(invariants_hold());
}

unsigned MemoryRing::ready() const noexcept {
    return std::atomic_ref<unsigned>(cq_tail_).load(std::memory_order_relaxed) -
           load_acquire(cq_head_);
}

void MemoryRing::publish(const Completion& completion) noexcept {
    ALWAYS_CHECK(!full(), "a completion would overwrite one that the engine has not taken");
    const unsigned tail = std::atomic_ref<unsigned>(cq_tail_).load(std::memory_order_relaxed);
    io_uring_cqe& slot = cqes_[tail & cq_mask_];
    slot.user_data = completion.user_data;
    slot.res = completion.res;
    slot.flags = completion.flags;
    store_release(cq_tail_, tail + 1);
}

}  // namespace uaio
