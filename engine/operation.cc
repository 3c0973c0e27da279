// The way down: from a verb to a submission entry, and what ends an operation before the kernel
// does.
#include <uaio/argument_error.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"

#include <atomic>
#include <cstring>
#include <new>
#include <thread>

#include <liburing.h>

namespace uaio {

// --- Accepting ---

// From another thread, of another engine, or on a busy Aio.
bool EngineCore::submit_otherwise(Engine& target, Aio& aio, Starter starter, void* owner,
                                  void* argument) noexcept {
    if (&target != aio.engine_) starter = &start_on_wrong_engine;
    const bool here = on_thread();
    if (!here && is_over()) {
        refuse_when_over(aio);
        return false;
    }
    if (here && handed_on_ == &aio) {
        handed_on_ = nullptr;
        take_over(aio, owner, argument);
        starter(aio);
        return true;
    }
    Aio::Phase idle = Aio::Phase::idle;
    if (!aio.phase_.compare_exchange_strong(idle, here ? Aio::Phase::active : Aio::Phase::posted,
                                            std::memory_order_acquire)) {
        misuse("an operation was submitted on a busy Aio; it was ignored");
        return false;
    }
    accept(aio, owner, argument);
    if (here) {
        start(aio, starter);
        if (!in_turn_ && foreign_loop_.is_open()) foreign_loop_.signal();
        return true;
    }
    aio.canceler_ = starter;  // free until the operation is parked, and of the same type
    aio.mail_.deliver = &deliver_operation;
    post(aio.mail_);
    return true;
}

// Without a callback, since there is no thread for one. The Aio stays as it was if it was busy when
// the engine was lost.
void EngineCore::refuse_when_over(Aio& aio) noexcept {
    if (aio.phase_.load(std::memory_order_acquire) == Aio::Phase::idle) {
        aio.count_ = 0;
        set_error(aio, Errc::engine_lost);
    }
    counters_.misuse.fetch_add(1, std::memory_order_relaxed);
    log(LogLevel::error,
        is_forked() ? "an operation was submitted in a child of fork(2) to an engine of the "
                      "parent; it was refused without a callback"
                    : "an operation was submitted to an engine whose thread has ended; it was "
                      "refused without a callback");
}

// From its owner so far, which has it neither parked nor in the kernel any more. Its timer stays
// armed or over, so that the new starter sees what an Aio that was just accepted would show.
void EngineCore::take_over(Aio& aio, void* owner, void* argument) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    aio.canceler_ = nullptr;
    aio.owner_ = owner;
    std::memcpy(aio.scratch_, &argument, sizeof argument);
}

void EngineCore::accept_deadline(Aio& aio) noexcept {
    if (aio.deadline_set_) {
        aio.deadline_set_ = false;
        return;  // the next operation asks the timeout again
    }
    const std::int64_t timeout = aio.timeout_.count();
    if (aio.timeout_ == kNoTimeout) {
        aio.has_deadline_.store(false, std::memory_order_relaxed);
        aio.timer_.deadline_ns = TimerNode::kNoDeadline;
    } else if (timeout <= 0) {
        aio.timer_.deadline_ns = 0;  // over already
    } else {
        aio.timer_.deadline_ns = deadline_after(now_ns(), aio.timeout_);
    }
}

void EngineCore::replace_deadline(Aio& aio, std::int64_t deadline_ns) noexcept {
    // Its callback is due, and nothing would take the node out again.
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active) return;
    if (aio.timer_.previous) timers_.disarm(aio.timer_);
    aio.timer_.deadline_ns = deadline_ns;
    // For disarm(); the next accept_deadline() asks the timeout again.
    aio.has_deadline_.store(true, std::memory_order_relaxed);
    if (deadline_ns != TimerNode::kNoDeadline) timers_.arm(aio.timer_, now_ns());
}

void EngineCore::deliver_operation(MailboxEntry& entry) noexcept {
    Aio& aio = *AioQueue::of(&entry);
    aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
    const Starter starter = aio.canceler_;
    aio.canceler_ = nullptr;
    EngineCore& core = of(aio);
    core.counters_.begun.add();
    core.start_checked(aio, starter);
}

// Submitted on the engine's thread while ~Aio waits, so by the callback: it ends without one. The
// provider sees an ordinary stopped Aio, for what it gave the operation has to be freed.
void EngineCore::start_special(Aio& aio, Starter starter) noexcept {
    if (aio.stop_.load(std::memory_order_relaxed) == Aio::Stop::destroyed) aio.invoke_ = nullptr;
    start_checked(aio, starter);
}

void EngineCore::start_checked(Aio& aio, Starter starter) noexcept {
    if (aio.timer_.deadline_ns != TimerNode::kNoDeadline) {
        // An operation whose time is over before it starts is not armed; expired() sees that.
        const std::int64_t now = now_ns();
        if (aio.timer_.deadline_ns > now) timers_.arm(aio.timer_, now);
    }
    starter(aio);
    const bool destroyed = aio.stop_.load(std::memory_order_relaxed) == Aio::Stop::destroyed;
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active) {
        if (destroyed && aio.result_ == Errc::canceled) set_error(aio, Errc::closed);
    } else if (destroyed) {
        cancel_here(aio, Errc::closed);
    } else if (stopped(aio)) {
        cancel_here(aio, Errc::canceled);
    } else if (expired(aio)) {
        cancel_here(aio, Errc::timed_out);
    }
}

void EngineCore::start_on_wrong_engine(Aio& aio) noexcept {
    of(aio).finish(aio, ArgumentErrc::wrong_engine);
}

// --- In the kernel, parked, or over ---

io_uring_sqe& EngineCore::next_sqe() noexcept {
    if (tail_ - head_ > ring_.sq_mask) [[unlikely]]
        make_room();
    return ring_.sqes[tail_++ & ring_.sq_mask];
}

io_uring_sqe& EngineCore::begin(Aio& aio, Handler handler) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    aio.handler_ = handler;
    aio.canceler_ = nullptr;
    io_uring_sqe& sqe = next_sqe();
    aio.sq_position_ = tail_ - 1;
    sqe.user_data = user_data_of(aio);
    return sqe;
}

// A list of what is parked would cost every operation two links and a branch. One without a
// deadline has a timer node to spare, which disarm() takes out at its end; so only providers that
// are no Residents pay, and only these stores.
void EngineCore::park_to_be_found(Aio& aio, Canceler canceler) noexcept {
    park(aio, canceler);
    if (aio.timer_.previous || aio.timer_.deadline_ns != TimerNode::kNoDeadline) return;
    // For disarm(); the next accept_deadline() clears it again.
    aio.has_deadline_.store(true, std::memory_order_relaxed);
    timers_.hold(aio.timer_);
}

void EngineCore::finish(Aio& aio, std::error_code error) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    disarm(aio);
    aio.canceler_ = nullptr;
    if (error) set_error(aio, error);
    aio.phase_.store(Aio::Phase::finished, std::memory_order_relaxed);
    finished_.push(aio);
}

// head_ is only as new as its last reading, so that is taken first. If the submission ring is
// really full, the kernel gets it now, in mid-turn; when it will not take more before completions
// are taken out of the other ring, those move to ready_ and are dispatched after the running
// callback.
void EngineCore::make_room() noexcept {
    if (is_forked()) {  // in a callback that forked: what it fills is thrown away
        head_ = tail_;
        return;
    }
    head_ = std::atomic_ref(*ring_.sq_head).load(std::memory_order_acquire);
    if (tail_ - head_ <= ring_.sq_mask) return;
    counters_.full_rings.add();
    while (tail_ - head_ > ring_.sq_mask) {
        hand_back_completions();
        enter(0, TimerNode::kNoDeadline);
        head_ = std::atomic_ref(*ring_.sq_head).load(std::memory_order_acquire);
        CHECK(failure_ == 0, "the kernel refused the ring in the middle of a submission");
        if (tail_ - head_ > ring_.sq_mask) take_completions();
    }
}

// --- Cancelling ---

bool EngineCore::unconsumed(unsigned position) const noexcept {
    // A polling kernel thread may read whatever is published; otherwise only enter() takes entries.
    const unsigned taken = features().sq_polled
                               ? published_
                               : std::atomic_ref(*ring_.sq_head).load(std::memory_order_acquire);
    return static_cast<int>(position - taken) >= 0;
}

void EngineCore::cancel_here(Aio& aio, std::error_code reason) noexcept {
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active || aio.reason_) return;
    aio.reason_ = reason;
    aio.ended_early_ = true;
    counters_.cancels.add();
    if (reason == make_error_code(Errc::timed_out)) counters_.timeouts.add();
    if (const Canceler canceler = aio.canceler_) {
        aio.canceler_ = nullptr;
        return canceler(aio);
    }
    interrupt(aio);
}

void EngineCore::interrupt(Aio& aio) noexcept {
    const std::uint64_t target = user_data_of(aio);
    if (unconsumed(aio.sq_position_)) {
        // A cancel that the kernel meets before its target finds nothing (io_uring_prep_cancel(3));
        // but what it has not taken can simply be withdrawn, and then nothing was transferred.
        io_uring_sqe& sqe = ring_.sqes[aio.sq_position_ & ring_.sq_mask];
        if (sqe.user_data == target) {
            io_uring_prep_nop(&sqe);
            sqe.user_data = target | static_cast<std::uint64_t>(Tag::withdrawn);
        }
        return;
    }
    io_uring_sqe& sqe = next_sqe();
    io_uring_prep_cancel64(&sqe, target, 0);
    sqe.user_data = static_cast<std::uint64_t>(Tag::ignored);
}

void EngineCore::request_cancel(Aio& aio, std::error_code reason) noexcept {
    if (on_thread()) {
        cancel_here(aio, reason);
        if (!in_turn_ && foreign_loop_.is_open()) foreign_loop_.signal();
        return;
    }
    if (is_over() || aio.phase_.load(std::memory_order_acquire) == Aio::Phase::idle) return;
    send_cancel({&aio, aio.generation_.load(std::memory_order_acquire), reason});
}

void EngineCore::send_cancel(const CancelRequest& request) noexcept {
    while (!is_over() && !queue_cancel(request)) {
        // Full, and no memory to grow: the engine's next turn makes room.
        wake_if_asleep();
        std::this_thread::yield();
    }
    wake_if_asleep();
}

bool EngineCore::queue_cancel(const CancelRequest& request) noexcept {
    const std::lock_guard lock(cancel_mutex_);
    try {
        cancels_.push_back(request);
    } catch (const std::bad_alloc&) {
        return false;
    }
    cancels_pending_.store(static_cast<unsigned>(cancels_.size()), std::memory_order_release);
    return true;
}

// The lock is held throughout, so that forget() on another thread knows that no request for its Aio
// is being looked at. Nothing below calls back to the user.
void EngineCore::deliver_cancels() noexcept {
    if (cancels_pending_.load(std::memory_order_acquire) == 0) return;
    const std::lock_guard lock(cancel_mutex_);
    std::size_t kept = 0;
    for (const CancelRequest& request : cancels_) {
        Aio& aio = *request.aio;
        if (!request.any_generation &&
            aio.generation_.load(std::memory_order_relaxed) != request.generation) {
            continue;
        }
        if (aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::posted) {
            cancels_[kept++] = request;  // overtook its operation, which the mailbox still holds
        } else {
            cancel_here(aio, request.reason);
        }
    }
    cancels_.resize(kept);
    cancels_pending_.store(static_cast<unsigned>(kept), std::memory_order_release);
}

void EngineCore::forget(Aio& aio) noexcept {
    if (is_forked() || cancels_pending_.load(std::memory_order_acquire) == 0) return;
    const std::lock_guard lock(cancel_mutex_);
    std::erase_if(cancels_, [&aio](const CancelRequest& request) { return request.aio == &aio; });
    cancels_pending_.store(static_cast<unsigned>(cancels_.size()), std::memory_order_release);
}

void EngineCore::stop_aio(Aio& aio) noexcept {
    Aio::Stop none = Aio::Stop::none;
    if (aio.stop_.compare_exchange_strong(none, Aio::Stop::stopped, std::memory_order_release,
                                          std::memory_order_relaxed)) {
        request_stop(aio, Errc::canceled);
    }
}

std::error_code EngineCore::stop_and_wait(Aio& aio) noexcept {
    aio.stop_.store(Aio::Stop::destroyed, std::memory_order_release);
    request_stop(aio, Errc::closed);
    if (is_bound() && !on_thread()) {
        const Clock::time_point soon = deadline_after(Clock::now(), drain_timeout());
        if (!wait_until(aio, soon) && is_bound()) warn_of_long_wait();
    }
    return wait(aio);
}

// Behind the store of stop_. A callback may submit the Aio again at this very moment, and without a
// fence in submit() neither side needs to see the other. So another thread does not look at the
// operation: the engine's ends whichever it finds, and what it submits later meets stop_, which the
// lock of the request made visible.
void EngineCore::request_stop(Aio& aio, std::error_code reason) noexcept {
    if (on_thread() || is_over()) return request_cancel(aio, reason);
    send_cancel({&aio, 0, reason, true});
}

// --- The public faces ---

namespace provider {

bool submit(Engine& engine, Aio& aio, Starter starter, void* owner, void* argument) noexcept {
    return EngineCore::submit(engine, aio, starter, owner, argument);
}
io_uring_sqe& begin(Aio& aio, Handler handler) noexcept {
    return EngineCore::of(aio).begin(aio, handler);
}
void park(Aio& aio, Canceler canceler) noexcept {
    EngineCore::of(aio).park_to_be_found(aio, canceler);
}
void finish(Aio& aio, std::error_code error) noexcept { EngineCore::of(aio).finish(aio, error); }
void expect_hand_on(Aio& aio) noexcept { EngineCore::of(aio).expect_hand_on(aio); }
void set_error(Aio& aio, std::error_code error) noexcept { EngineCore::set_error(aio, error); }
void advance(Aio& aio, std::size_t bytes) noexcept { EngineCore::advance(aio, bytes); }
IovCursor& cursor(Aio& aio) noexcept { return EngineCore::cursor(aio); }
std::error_code cancel_reason(const Aio& aio) noexcept { return EngineCore::cancel_reason(aio); }
bool stopped(const Aio& aio) noexcept { return EngineCore::stopped(aio); }
bool expired(const Aio& aio) noexcept { return EngineCore::expired(aio); }
void cancel(Aio& aio, std::error_code reason) noexcept {
    EngineCore::of(aio).cancel_here(aio, reason);
}
void* owner(const Aio& aio) noexcept { return EngineCore::owner(aio); }
void* argument(const Aio& aio) noexcept { return EngineCore::argument(aio); }
std::span<std::byte, 32> scratch(Aio& aio) noexcept { return EngineCore::scratch(aio); }

}  // namespace provider

}  // namespace uaio
