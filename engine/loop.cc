// The loop: one turn delivers what other threads handed over, enters the kernel once, and runs the
// callbacks of what is done. Completions are dispatched where they lie, and the ring is handed back
// once. A callback may submit, fill the submission ring and so enter the kernel again; that is
// sound, since the kernel only appends, and if it wants the room first, what is left in the ring is
// moved to a list that comes before it.
#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <thread>

#include <liburing.h>

namespace uaio {
namespace {

constexpr std::uint64_t kTagMask = alignof(Aio) - 1;
constexpr std::uint64_t kAddressMask = ((std::uint64_t{1} << 48) - 1) & ~kTagMask;

Clock::time_point time_point_of(std::int64_t ns) noexcept {
    return Clock::time_point(std::chrono::nanoseconds(ns));
}

}  // namespace

void EngineCore::run() {
    bind_or_throw();
    while (!stop_.load(std::memory_order_acquire)) {
        turn(TimerNode::kNoDeadline, false);
        throw_if_failed();
    }
}

std::size_t EngineCore::run_once(std::chrono::nanoseconds max_wait) {
    bind_or_throw();
    std::int64_t until = 0;
    if (max_wait.count() > 0) until = deadline_after(now_ns(), max_wait);
    const std::size_t handled = turn(until, true);
    throw_if_failed();
    return handled;
}

void EngineCore::throw_if_failed() {
    if (failure_ == 0) return;
    require_thread();
    throw std::system_error(-failure_, std::system_category(),
                            "uaio: the kernel refused the ring of a running engine (was a seccomp "
                            "filter installed?)");
}

// `until_ns` is how long to wait when there is nothing to do, 0 for not at all. With `return_early`
// a turn that delivered mail or ran callbacks does not wait, since that may have been what the
// caller waits for, and leaves nothing unsubmitted, since the next may be far.
std::size_t EngineCore::turn(std::int64_t until_ns, bool return_early) noexcept {
    in_turn_ = true;
    counters_.turns.add();
    if (foreign_loop_.is_open()) [[unlikely]]
        foreign_loop_.consume();
    const bool had_mail = deliver_mail();
    expire_timers();
    std::size_t handled = dispatch_completions() + dispatch_finished();
    if (handled > 0) notify_waiters();  // before the engine sleeps

    const bool may_wait = until_ns > 0 && !(return_early && (had_mail || handled > 0));
    if (may_wait && may_sleep()) {
        enter(1, std::min(until_ns, timers_.next_ns()));
        sleeping_.store(false, std::memory_order_relaxed);
    } else {
        enter(0, TimerNode::kNoDeadline);
    }
    const std::size_t before = handled;
    handled += dispatch_completions();
    handled += dispatch_finished();
    if (return_early && tail_ != std::atomic_ref(*ring_.sq_head).load(std::memory_order_acquire)) {
        enter(0, TimerNode::kNoDeadline);
    }
    if (handled > before) notify_waiters();
    leave_turn();
    return handled;
}

void EngineCore::leave_turn() noexcept {
    in_turn_ = false;
    if (!foreign_loop_.is_open()) return;
    // Nobody waits in the kernel now; from here on the set has to say when there is work.
    foreign_loop_.set_deadline(timers_.next_ns());
    sleeping_.exchange(true, std::memory_order_acq_rel);
    if (work_waits()) foreign_loop_.signal();
}

bool EngineCore::work_waits() const noexcept {
    return !finished_.empty() || ready_left_ > 0 || cq_head_ != completion_tail() ||
           !mailbox_.empty() || cancels_pending_.load(std::memory_order_acquire) != 0 ||
           stop_.load(std::memory_order_acquire) || kernel_->pending();
}

// From here on other threads wake the engine; what they did before shows in the second look.
bool EngineCore::may_sleep() noexcept {
    sleeping_.exchange(true, std::memory_order_acq_rel);
    if (!work_waits()) return true;
    sleeping_.store(false, std::memory_order_relaxed);
    return false;
}

void EngineCore::enter(unsigned wait, std::int64_t deadline_ns) noexcept {
    counters_.enters.add();
    counters_.submissions.add(tail_ - published_);
    published_ = tail_;
    std::atomic_ref(*ring_.sq_tail).store(tail_, std::memory_order_release);
    const int result = kernel_->enter(wait, time_point_of(deadline_ns));
    switch (result) {
        case 0:
        case -EINTR:   // a signal; the loop comes again
        case -ETIME:   // the deadline, which expire_timers() looks at
        case -EBUSY:   // completions have to be taken out first, which happens now
        case -EAGAIN:  // no memory for more requests just now; completions give some back
            break;
        default:
            if (failure_ != 0) break;
            failure_ = result;
            try {
                log(LogLevel::error,
                    "the kernel refused the ring: " + strerror(error_from_result(result)));
            } catch (const std::bad_alloc&) {
                log(LogLevel::error, "the kernel refused the ring");
            }
            notify_waiters();
    }
}

inline unsigned EngineCore::completion_tail() const noexcept {
    return std::atomic_ref(*ring_.cq_tail).load(std::memory_order_acquire);
}

void EngineCore::hand_back_completions() noexcept {
    std::atomic_ref(*ring_.cq_head).store(cq_head_, std::memory_order_release);
}

// The kernel's own side of enter(), for what has to be over before a call returns. A callback may
// be running, so nothing is dispatched.
bool EngineCore::settle(const AioQueue& aios) noexcept {
    // The first is enough, unless the kernel is short of memory, or a thread of its own reads the
    // ring.
    const int rounds = features().sq_polled ? 1000 : 3;
    const auto all_completed = [&] {
        for (const Aio* aio = aios.front(); aio; aio = AioQueue::next(*aio)) {
            if (!is_completed(*aio)) return false;
        }
        return true;
    };
    for (int round = 0; round < rounds && failure_ == 0 && !all_completed(); ++round) {
        hand_back_completions();
        counters_.enters.add();
        counters_.submissions.add(tail_ - published_);
        published_ = tail_;
        std::atomic_ref(*ring_.sq_tail).store(tail_, std::memory_order_release);
        kernel_->settle();
        if (features().sq_polled) std::this_thread::yield();
    }
    announce_work();
    return all_completed();
}

// Its last completion is here, and is still to be dispatched.
bool EngineCore::is_completed(const Aio& aio) const noexcept {
    const std::uint64_t wanted = user_data_of(aio);
    for (std::size_t left = ready_left_; left > 0; --left) {
        const Completion& completion = ready_[ready_.size() - left];
        if ((completion.user_data & ~kTagMask) == wanted) return true;
    }
    for (unsigned at = cq_head_, tail = completion_tail(); at != tail; ++at) {
        if ((ring_.cqes[at & ring_.cq_mask].user_data & ~kTagMask) == wanted) return true;
    }
    return false;
}

// Empties the ring in the middle of a callback. Without memory for the list some stay in the ring:
// make_room() comes again.
void EngineCore::take_completions() noexcept {
    try {
        for (const unsigned tail = completion_tail(); cq_head_ != tail; ++cq_head_) {
            const io_uring_cqe& cqe = ring_.cqes[cq_head_ & ring_.cq_mask];
            ready_.push_back({cqe.user_data, cqe.res, cqe.flags});
            ++ready_left_;
        }
    } catch (const std::bad_alloc&) {
        std::this_thread::yield();
    }
    hand_back_completions();
}

inline void EngineCore::call_back(Aio& aio) noexcept {
    DCHECK(!aio.timer_.previous);
    counters_.operations.add();
    aio.cursor_.rewind();
    in_callback_.store(&aio, std::memory_order_release);
    // From this store on the Aio is its user's: it may be submitted again or destroyed.
    aio.phase_.store(Aio::Phase::idle, std::memory_order_release);
    if (const auto invoke = aio.invoke_) invoke(aio.callback_, aio);
    in_callback_.store(nullptr, std::memory_order_release);
}

inline bool EngineCore::dispatch(Completion completion) noexcept {
    if (completion.user_data & kTagMask) [[unlikely]]
        return dispatch_tagged(completion);
    Aio& aio = *reinterpret_cast<Aio*>(completion.user_data & kAddressMask);
    DCHECK(completion.user_data == user_data_of(aio));
    if (aio.handler_(aio, completion.result, completion.flags) == Outcome::finished) {
        disarm(aio);
        call_back(aio);
    }
    return true;
}

// The lines of an Aio that its handler will want, on their way while the one before is handled.
inline void prefetch(std::uint64_t user_data) noexcept {
    const char* const aio = reinterpret_cast<const char*>(user_data & kAddressMask);
    __builtin_prefetch(aio, 1);
    __builtin_prefetch(aio + 64, 1);
    __builtin_prefetch(aio + 128, 1);
}

// Those that were there when the step began, and what a callback moved out of the ring.
std::size_t EngineCore::dispatch_completions() noexcept {
    const unsigned tail = completion_tail();
    if (tail == cq_head_ && ready_left_ == 0) return 0;
    std::size_t taken = 0;
    std::size_t handled = 0;
    for (;; ++taken) {
        if (ready_left_ > 0) [[unlikely]] {
            handled += dispatch(ready_[ready_.size() - ready_left_--]);
            continue;
        }
        const int left = static_cast<int>(tail - cq_head_);
        if (left <= 0) break;
        const io_uring_cqe& cqe = ring_.cqes[cq_head_++ & ring_.cq_mask];
        if (left > 1) prefetch(ring_.cqes[cq_head_ & ring_.cq_mask].user_data);
        handled += dispatch({cqe.user_data, cqe.res, cqe.flags});
    }
    counters_.completions.add(taken);
    if (!ready_.empty()) ready_.clear();
    hand_back_completions();
    return handled;
}

bool EngineCore::dispatch_tagged(Completion completion) noexcept {
    switch (static_cast<Tag>(completion.user_data & kTagMask)) {
        case Tag::withdrawn:
            completion.user_data &= ~kTagMask;
            completion.result = -ECANCELED;
            return dispatch(completion);
        case Tag::wake:
            if (!draining_) arm_wake();
            return false;
        case Tag::ignored:
        case Tag::aio: break;
    }
    return false;
}

// Those that were there when the step began: a callback that finishes the next operation at once
// does not keep the loop from the kernel.
inline std::size_t EngineCore::dispatch_finished() noexcept {
    if (finished_.empty()) return 0;
    std::size_t handled = 0;
    AioQueue batch = finished_;
    finished_ = AioQueue();
    finishing_ = &batch;
    while (Aio* aio = batch.pop()) {
        call_back(*aio);
        ++handled;
    }
    finishing_ = nullptr;
    return handled;
}

// A locked instruction once a turn, against the one of a thread that starts to wait: whichever
// comes second sees what the other did before, so either the waiter sees an idle Aio or is
// notified.
void EngineCore::notify_waiters() noexcept {
    if (waiters_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
    const std::lock_guard lock(wait_mutex_);
    wait_condition_.notify_all();
}

// Whether there was any.
bool EngineCore::deliver_mail() noexcept {
    MailboxEntry* entry = mailbox_.take();
    const bool had_mail = entry != nullptr;
    while (entry) {
        mail_left_ = entry->next;  // an Aio reuses the link at once
        counters_.posts.add();
        entry->deliver(*entry);
        entry = mail_left_;
    }
    deliver_cancels();
    return had_mail;
}

inline void EngineCore::expire_timers() noexcept {
    if (timers_.armed() == 0) return;
    const std::int64_t now = now_ns();
    while (TimerNode* node = timers_.expire(now)) {
        cancel_here(*aio_of(*node), Errc::timed_out);
    }
}

void EngineCore::arm_wake() noexcept {
    const int fd = kernel_->wake_fd();
    if (fd < 0) return;
    io_uring_sqe& sqe = next_sqe();
    io_uring_prep_read(&sqe, fd, &wake_value_, sizeof wake_value_, 0);
    sqe.user_data = static_cast<std::uint64_t>(Tag::wake);
}

}  // namespace uaio
