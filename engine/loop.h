// The loop of an engine. One turn delivers the mail of other threads, expires timers, enters the
// kernel once and finishes operations. A callback may submit, fill the submission ring and so enter
// the kernel again. Engine's thread unless a member says otherwise.
#pragma once

#include <uaio/nodes.h>

#include "base/check.h"
#include "engine/late_requests.h"
#include "engine/mailbox.h"
#include "engine/poll_fd.h"
#include "engine/ring.h"
#include "engine/statistics.h"
#include "engine/timer_queue.h"
#include "engine/waiters.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace uaio {

class Loop {
public:
    explicit Loop(Kernel& kernel) : ring_(kernel, counters_) {}
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    Ring& ring() noexcept { return ring_; }
    const Ring& ring() const noexcept { return ring_; }
    TimerQueue& timers() noexcept { return timers_; }
    Counters& counters() noexcept { return counters_; }
    std::int64_t now_ns() noexcept { return ring_.kernel().now().time_since_epoch().count(); }

    // One turn. Waits until `until_ns` if there is nothing to do; 0: not at all. With
    // `return_early` a turn that delivered mail or finished operations does not wait, since the
    // caller may have waited for these, and submits everything, since the next turn may be late.
    // Returns the number of completions and deferred operations handled.
    std::size_t turn(std::int64_t until_ns, bool return_early) noexcept;
    bool in_turn() const noexcept { return in_turn_; }

    // Counts an accepted operation; it is under way until its finisher is called.
    void count_operation() noexcept { counters_.begun.add(); }
    // Calls the finisher of an operation that is not in the kernel, in this turn or the next, never
    // inside this call.
    void defer(Completion& operation) noexcept;
    // True if no accepted operation is under way, no mail waits, and the kernel has taken all
    // entries.
    bool is_idle() noexcept;
    bool has_deferred() const noexcept { return deferred_.first != nullptr; }
    bool has_operations() const noexcept {
        return counters_.begun.value() != counters_.operations.value();
    }
    // Delivers mail and late requests, at the start of a turn or outside one. True if there was
    // mail.
    bool deliver_mail() noexcept;
    // True if mail waits for its delivery, also while other mail is being delivered.
    bool has_undelivered_mail() const noexcept {
        return mail_left_ || (delivers_mail_ && has_mail());
    }
    // Delivers no mail any more, and drops what has arrived. The memory of mail may be freed then.
    void end_mail() noexcept;
    // Expires every timer with `reason`, those held without a deadline included, but not those that
    // are armed meanwhile. Outside a turn.
    void expire_all(std::error_code reason) noexcept;
    // Makes Engine::fd() readable for work that was added outside a turn.
    void announce_work() noexcept {
        if (!in_turn_ && poll_fd_.is_open()) [[unlikely]]
            poll_fd_.signal();
    }
    // The descriptor of Engine::fd(); the first call opens it. An error when descriptors run out.
    [[nodiscard]] std::error_code open_poll_fd() noexcept;
    int poll_fd() const noexcept { return poll_fd_.fd(); }

    // In a child of fork(2): drops the loop's work and replaces its kernel by one that fails. May
    // not lock, wait or allocate.
    void abandon() noexcept;

    // ---- any thread

    Waiters& waiters() noexcept { return waiters_; }
    LateRequests& late_requests() noexcept { return late_requests_; }
    void post(MailboxEntry& entry) noexcept {
        DCHECK(entry.deliver);
        if (mailbox_.push(entry)) wake_if_asleep();
    }
    // Takes `entry` out of the mailbox, if it is there, of a loop that no longer turns. One thread
    // at a time.
    void withdraw(const MailboxEntry& entry) noexcept;
    bool has_mail() const noexcept { return !mailbox_.empty(); }
    void wake_if_asleep() noexcept {
        if (sleeping_.exchange(false, std::memory_order_acq_rel)) wake();
    }
    // Makes a waiting turn return.
    void stop() noexcept {
        stop_.store(true, std::memory_order_release);
        wake_if_asleep();
    }
    // True when the kernel has refused the ring.
    bool has_failed() const noexcept { return ring_.failure() != 0; }
    bool is_stopping() const noexcept { return stop_.load(std::memory_order_acquire); }
    // Stores of a thread before a stop() that this clears are visible afterwards. An exchange,
    // since a store could overtake a later load of them, and the stop would be lost.
    void clear_stop() noexcept { stop_.exchange(false, std::memory_order_acq_rel); }
    // True while the finisher of `operation` runs.
    bool is_finishing(const Completion& operation) const noexcept {
        return finishing_.load(std::memory_order_acquire) == &operation;
    }

private:
    // Operations that ended without a completion, linked by `mail`, the first in front.
    struct Deferred {
        Completion* first = nullptr;
        Completion* last = nullptr;
    };

    void finish(Completion& operation) noexcept {
        DCHECK(has_operations());
        DCHECK(!finishing_.load(std::memory_order_relaxed));  // a finisher runs no other
        counters_.operations.add();
        finishing_.store(&operation, std::memory_order_release);
        operation.finish(operation);
        finishing_.store(nullptr, std::memory_order_release);
    }
    // O(1). Counts that balance: operations that have ended, are deferred, or were begun.
    bool invariants_hold() const noexcept;
    std::size_t dispatch() noexcept {
        return ring_.dispatch([this](Completion& operation) noexcept { finish(operation); });
    }
    std::size_t finish_deferred() noexcept;
    void expire_timers() noexcept;
    bool prepare_to_sleep() noexcept;
    void leave_turn() noexcept;
    bool has_work() const noexcept;
    void sleep_without_kernel(std::int64_t until_ns) noexcept;
    void wake() noexcept;

    Ring ring_;
    Deferred deferred_;
    std::atomic<const Completion*> finishing_{nullptr};
    Counters counters_;
    TimerQueue timers_;
    bool in_turn_ = false;
    // The lists that the loop walks. After a fork in a callback, the child empties them.
    Deferred* finishing_now_ = nullptr;
    MailboxEntry* mail_left_ = nullptr;
    bool delivers_mail_ = true;
    PollFd poll_fd_;

    // Members that other threads touch.
    alignas(64) Mailbox mailbox_;
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> stop_{false};
    LateRequests late_requests_;
    Waiters waiters_;
};

}  // namespace uaio
