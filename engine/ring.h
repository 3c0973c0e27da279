// The submission queue and completion queue of an engine. Completions are dispatched in place, and
// their slots are returned once a turn. Engine's thread, except failure().
#pragma once

#include <uaio/nodes.h>

#include "base/check.h"
#include "engine/kernel/inherited.h"
#include "engine/kernel/kernel.h"
#include "engine/statistics.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <liburing.h>

namespace uaio {

class Ring {
public:
    Ring(Kernel& kernel, Counters& counters);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    Kernel& kernel() noexcept { return *kernel_; }
    const Kernel& kernel() const noexcept { return *kernel_; }

    // The next submission queue entry for `operation`, whose handler and finisher are set.
    // REQUIRES: one of liburing's io_uring_prep_ functions fills it before any other call into the
    // engine. Enters the kernel if the ring is full; cannot fail.
    io_uring_sqe& begin(Completion& operation) noexcept {
        DCHECK(operation.handler && operation.finish);
        DCHECK((reinterpret_cast<std::uintptr_t>(&operation) & ~kAddressMask) == 0);
        if (is_full()) [[unlikely]]
            return begin_in_full_ring(operation);
        return take_entry(operation);
    }
    // Cancels `operation` in the kernel, or withdraws its entry if the kernel has not taken it. Its
    // handler runs as for any completion.
    void cancel(const Completion& operation) noexcept;
    // The same for every operation in the kernel.
    void cancel_all() noexcept;
    // Keeps a read of the kernel's wake_fd() pending, until stop_waking().
    void arm_wake() noexcept;
    void stop_waking() noexcept { waking_ = false; }

    // Submits, and waits for `wait` completions until `deadline_ns` (Kernel::enter()).
    void enter(unsigned wait, std::int64_t deadline_ns) noexcept;
    // Submits in the middle of a callback and lets the kernel complete cancelled operations, until
    // `all_completed`, a bool(), is true. Dispatches nothing. False if the kernel does not complete
    // them.
    template <class Condition>
    bool settle(Condition all_completed) noexcept;
    // True if the last completion of `operation` is in the ring, not yet dispatched.
    bool is_completed(const Completion& operation) const noexcept;

    bool has_completions() const noexcept { return ready_left_ > 0 || cq_head_ != cq_tail(); }
    bool has_unsubmitted() const noexcept {
        return tail_ != std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire);
    }
    // Calls the handlers of the completions that were in the ring at the start, or of those that a
    // callback took out of it earlier, and `finish`, a void(Completion&), for each operation that
    // has finished. Returns the number of completions handled.
    template <class Finish>
    std::size_t dispatch(Finish finish) noexcept;

    // Any thread: the negative errno with which the kernel refused the ring, or 0.
    int failure() const noexcept { return failure_.load(std::memory_order_relaxed); }
    // In a child of fork(2): abandons the rings, which are the parent's; every later call fails.
    // May not lock, wait or allocate.
    void abandon() noexcept;

private:
    // The low bits of user_data. The rest is the address of a Completion, and, in the upper 16
    // bits, which Linux leaves free in user addresses, its generation.
    enum class Tag : std::uint64_t { operation, withdrawn, wake, ignored };

    struct Entry {  // a CQE
        std::uint64_t user_data;
        int result;
        unsigned flags;
    };

    static constexpr std::uint64_t kTagMask = alignof(Completion) - 1;
    static constexpr std::uint64_t kAddressMask = ((std::uint64_t{1} << 48) - 1) & ~kTagMask;
    static_assert(static_cast<std::uint64_t>(Tag::ignored) <= kTagMask);
    static_assert(sizeof(std::uintptr_t) == sizeof(std::uint64_t));

    static std::uint64_t user_data_of(const Completion& operation) noexcept {
        const std::uint64_t generation = operation.generation.load(std::memory_order_relaxed);
        return reinterpret_cast<std::uintptr_t>(&operation) | generation << 48;
    }
    static void prefetch(std::uint64_t user_data) noexcept;

    bool is_full() const noexcept { return tail_ - head_ > view_.sq_mask; }  // as far as is known
    io_uring_sqe& next() noexcept {
        if (is_full()) [[unlikely]]
            make_room();
        return view_.sqes[tail_++ & view_.sq_mask];
    }
    // REQUIRES: not full.
    io_uring_sqe& take_entry(Completion& operation) noexcept {
        operation.sq_position = tail_;
        io_uring_sqe& sqe = view_.sqes[tail_++ & view_.sq_mask];
        sqe.user_data = user_data_of(operation);
        return sqe;
    }
    // Apart, so that begin() saves no register for the sake of a call that it hardly ever makes.
    io_uring_sqe& begin_in_full_ring(Completion& operation) noexcept;
    // O(1). Both rings hold no more than they have room for, and each index is between those of the
    // two sides that move it.
    bool invariants_hold() const noexcept;
    io_uring_sqe& next_ignored() noexcept;
    void make_room() noexcept;
    void drop_newest() noexcept;
    void publish() noexcept;
    bool unconsumed(unsigned position) const noexcept;
    unsigned cq_tail() const noexcept {
        return std::atomic_ref(*view_.cq_tail).load(std::memory_order_acquire);
    }
    void hand_back() noexcept {
        std::atomic_ref(*view_.cq_head).store(cq_head_, std::memory_order_release);
    }
    void take_completions() noexcept;
    bool answer(std::uint64_t tagged) noexcept;
    unsigned settle_rounds() const noexcept { return kernel_->features().sq_polled ? 1000 : 3; }
    void settle_once() noexcept;

    RingView view_;
    unsigned tail_;       // of the submission ring, published before every enter
    unsigned published_;  // the tail that the kernel may see
    unsigned head_;       // of the submission ring, as last read; the kernel's may be ahead
    unsigned cq_head_;    // completions dispatched; hand_back() publishes it
    Kernel* kernel_;
    Counters& counters_;
    // Completions taken out of the ring in the middle of a callback, in order; the last ready_left_
    // are to be dispatched before those in the ring.
    std::vector<Entry> ready_;
    std::size_t ready_left_ = 0;
    std::atomic<int> failure_{0};
    bool waking_ = true;
    std::uint64_t wake_value_ = 0;  // where the kernel reads the wake-up to
    InheritedKernel inherited_;     // replaces kernel_ in a child
};

// ---- the path of every operation, inline

// Fetches the cache lines of an operation that its handler will use, while the one before is
// handled.
inline void Ring::prefetch(std::uint64_t user_data) noexcept {
    const char* const operation = reinterpret_cast<const char*>(user_data & kAddressMask);
    __builtin_prefetch(operation, 1);
    __builtin_prefetch(operation + 64, 1);
    __builtin_prefetch(operation + 128, 1);
}

template <class Finish>
inline std::size_t Ring::dispatch(Finish finish) noexcept {
    // Completions in ready_ are older than those in the ring, which then wait for the next call.
    const unsigned tail = ready_left_ > 0 ? cq_head_ : cq_tail();
    std::size_t taken = 0;
    std::size_t handled = 0;
    for (;; ++taken) {
        Entry entry;
        if (const int left = static_cast<int>(tail - cq_head_); left > 0) [[likely]] {
            const io_uring_cqe& cqe = view_.cqes[cq_head_++ & view_.cq_mask];
            if (left > 1) prefetch(view_.cqes[cq_head_ & view_.cq_mask].user_data);
            entry = {cqe.user_data, cqe.res, cqe.flags};
        } else if (ready_left_ > 0) {  // taken out of the ring by a callback
            entry = ready_[ready_.size() - ready_left_--];
        } else {
            break;
        }
        if ((entry.user_data & kTagMask) != 0) [[unlikely]] {
            if (!answer(entry.user_data)) continue;
            entry = {entry.user_data & ~kTagMask, -ECANCELED, entry.flags};
        }
        Completion& operation = *reinterpret_cast<Completion*>(entry.user_data & kAddressMask);
        DCHECK(entry.user_data == user_data_of(operation));
        ++handled;
        if (operation.handler(operation, entry.result, entry.flags) == Outcome::finished)
            finish(operation);
    }
    if (taken == 0) return 0;
    counters_.completions.add(taken);
    if (!ready_.empty()) ready_.clear();
    hand_back();
    DCHECK(invariants_hold());
    return handled;
}

template <class Condition>
bool Ring::settle(Condition all_completed) noexcept {
    // The first round is enough, unless the kernel is short of memory or polls the ring with its
    // own thread.
    for (unsigned round = 0; round < settle_rounds() && failure() == 0; ++round) {
        if (all_completed()) return true;
        settle_once();
    }
    return all_completed();
}

}  // namespace uaio
