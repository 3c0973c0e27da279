#include "engine/ring.h"

#include <cerrno>
#include <new>
#include <thread>

namespace uaio {
namespace {

Clock::time_point time_point_of(std::int64_t ns) noexcept {
    return Clock::time_point(std::chrono::nanoseconds(ns));
}

}  // namespace

Ring::Ring(Kernel& kernel, Counters& counters)
    : view_(kernel.ring()),
      tail_(*view_.sq_tail),
      published_(tail_),
      head_(tail_),
      cq_head_(*view_.cq_head),
      kernel_(&kernel),
      counters_(counters) {
    // Otherwise the first submissions would overwrite what an earlier engine left.
    DCHECK(std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire) == tail_);
    DCHECK((view_.sq_mask & (view_.sq_mask + 1)) == 0);  // rings hold a power of two of entries
    DCHECK((view_.cq_mask & (view_.cq_mask + 1)) == 0);
}

bool Ring::invariants_hold() const noexcept {
    if (kernel_ == &inherited_) return true;  // its rings are not those that the indexes are of
    const unsigned taken = std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire) - head_;
    return taken <= published_ - head_ && published_ - head_ <= tail_ - head_ &&
           tail_ - head_ - taken <= view_.sq_mask + 1 &&
           cq_tail() - cq_head_ <= view_.cq_mask + 1 && ready_left_ <= ready_.size();
}

// ---- submission

// head_ is only as new as its last reading, so that is taken first. If the submission ring is
// really full, the kernel gets it now, in mid-turn; if it takes no entries before completions leave
// the other ring, those move to ready_ and are dispatched after the running callback. If it refuses
// the ring, as under a seccomp(2) filter that was installed meanwhile, entries are dropped.
void Ring::make_room() noexcept {
    if (kernel_ == &inherited_) {  // in a callback that forked: its entries are dropped
        head_ = tail_;
        return;
    }
    head_ = std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire);
    if (tail_ - head_ <= view_.sq_mask) return;
    counters_.full_rings.add();
    while (tail_ - head_ > view_.sq_mask) {
        hand_back();
        enter(0, TimerNode::kNoDeadline);
        head_ = std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire);
        if (tail_ - head_ <= view_.sq_mask) break;
        if (failure() != 0) return drop_newest();
        take_completions();
    }
    DCHECK(invariants_hold());
}

io_uring_sqe& Ring::begin_in_full_ring(Completion& operation) noexcept {
    make_room();
    return take_entry(operation);
}

// Empties the completion ring in the middle of a callback. Without memory for the list some
// completions stay in the ring, and make_room() tries again.
void Ring::take_completions() noexcept {
    try {
        for (const unsigned tail = cq_tail(); cq_head_ != tail; ++cq_head_) {
            const io_uring_cqe& cqe = view_.cqes[cq_head_ & view_.cq_mask];
            ready_.push_back({cqe.user_data, cqe.res, cqe.flags});
            ++ready_left_;
        }
    } catch (const std::bad_alloc&) {
        std::this_thread::yield();
    }
    hand_back();
    DCHECK(invariants_hold());
}

// Compares distances without a sign: an operation may wait while the ring takes 2^31 entries.
bool Ring::unconsumed(unsigned position) const noexcept {
    // A polling kernel thread may read any published entry; otherwise only enter() takes entries.
    const unsigned taken = kernel_->features().sq_polled
                               ? published_
                               : std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire);
    return position - taken < tail_ - taken;
}

// The kernel takes no entry any more: the next one overwrites the last. Their operations stay
// pending, as all others of a failed ring.
void Ring::drop_newest() noexcept {
    DCHECK(failure() != 0 && tail_ - head_ == view_.sq_mask + 1);
    --tail_;
    published_ = tail_;
}

io_uring_sqe& Ring::next_ignored() noexcept {
    io_uring_sqe& sqe = next();
    sqe.user_data = static_cast<std::uint64_t>(Tag::ignored);
    return sqe;
}

void Ring::cancel(const Completion& operation) noexcept {
    const std::uint64_t target = user_data_of(operation);
    const std::uint64_t withdrawn = target | static_cast<std::uint64_t>(Tag::withdrawn);
    if (unconsumed(operation.sq_position)) {
        // A cancel that the kernel reads before its target finds nothing (io_uring_prep_cancel(3));
        // an entry that it has not taken can be withdrawn instead, and then nothing was
        // transferred. After 2^32 entries the position is that of another operation.
        io_uring_sqe& sqe = view_.sqes[operation.sq_position & view_.sq_mask];
        if (sqe.user_data == withdrawn) return;
        if (sqe.user_data == target) {
            io_uring_prep_nop(&sqe);
            sqe.user_data = withdrawn;
            return;
        }
    }
    io_uring_prep_cancel64(&next_ignored(), target, 0);
}

void Ring::cancel_all() noexcept {
    io_uring_prep_cancel64(&next_ignored(), 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
}

void Ring::arm_wake() noexcept {
    const int fd = kernel_->wake_fd();
    if (fd < 0 || !waking_) return;
    io_uring_sqe& sqe = next();
    io_uring_prep_read(&sqe, fd, &wake_value_, sizeof wake_value_, 0);
    sqe.user_data = static_cast<std::uint64_t>(Tag::wake);
}

// ---- the kernel

void Ring::publish() noexcept {
    DCHECK(invariants_hold());
    counters_.enters.add();
    counters_.submissions.add(tail_ - published_);
    published_ = tail_;
    std::atomic_ref(*view_.sq_tail).store(tail_, std::memory_order_release);
}

void Ring::enter(unsigned wait, std::int64_t deadline_ns) noexcept {
    publish();
    const int result = kernel_->enter(wait, time_point_of(deadline_ns));
    DCHECK(invariants_hold());
    switch (result) {
        case 0:
        case -EINTR:   // a signal; the loop enters again
        case -ETIME:   // the deadline, which the timers check
        case -EBUSY:   // completions must leave the ring first, which happens next
        case -EAGAIN:  // no memory for more requests now; completions free some
            break;
        default: {
            DCHECK(result < 0);
            int none = 0;
            failure_.compare_exchange_strong(none, result, std::memory_order_relaxed);
        }
    }
}

void Ring::settle_once() noexcept {
    hand_back();
    publish();
    kernel_->settle();
    DCHECK(invariants_hold());
    if (kernel_->features().sq_polled) std::this_thread::yield();
}

bool Ring::is_completed(const Completion& operation) const noexcept {
    const std::uint64_t wanted = user_data_of(operation);
    for (std::size_t left = ready_left_; left > 0; --left) {
        if ((ready_[ready_.size() - left].user_data & ~kTagMask) == wanted) return true;
    }
    for (unsigned at = cq_head_, tail = cq_tail(); at != tail; ++at) {
        if ((view_.cqes[at & view_.cq_mask].user_data & ~kTagMask) == wanted) return true;
    }
    return false;
}

// The completion of an entry with a tag: true if it is that of a withdrawn operation.
bool Ring::answer(std::uint64_t tagged) noexcept {
    const Tag tag{tagged & kTagMask};
    if (tag == Tag::wake) arm_wake();
    return tag == Tag::withdrawn;
}

// A callback that forked and returns to the loop in the child finds an empty ring and a kernel that
// fails.
void Ring::abandon() noexcept {
    inherited_.take_over(*kernel_, cq_head_, static_cast<std::uint64_t>(Tag::ignored));
    kernel_ = &inherited_;
    view_ = inherited_.ring();
    failure_ = -EOWNERDEAD;
    ready_left_ = 0;
}

}  // namespace uaio
