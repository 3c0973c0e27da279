#include "engine/loop.h"

#include <uaio/error.h>

#include "base/check.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace uaio {

namespace {

// How often a turn finishes deferred operations before it enters the kernel. One that completes
// without the kernel, such as a read of bytes that a stream has buffered, often begins the next:
// the requests of a pipeline are then answered in one turn, and their responses leave in one send.
// The limit keeps an endless chain from the time of other operations.
constexpr int kDeferredRounds = 16;

}  // namespace

static_assert(offsetof(Completion, mail) == 0 && std::is_standard_layout_v<Completion>,
              "finish_deferred() casts a link to its Completion");

bool Loop::invariants_hold() const noexcept {
    const bool list_is_whole = !deferred_.first == !deferred_.last;
    const bool deferred_count = !deferred_.first || has_operations();
    return list_is_whole && deferred_count &&
           counters_.operations.value() <= counters_.begun.value();
}

std::size_t Loop::turn(std::int64_t until_ns, bool return_early) noexcept {
    DCHECK(!in_turn_);
    DCHECK(until_ns >= 0);
    DCHECK(invariants_hold());
    in_turn_ = true;
    const bool had_failed = has_failed();  // a callback that forks, in the child, returns soon
    counters_.turns.add();
    if (poll_fd_.is_open()) [[unlikely]]
        poll_fd_.consume();
    const bool had_mail = deliver_mail();
    expire_timers();
    std::size_t handled = dispatch();
    for (int round = 0; round < kDeferredRounds && deferred_.first; ++round)
        handled += finish_deferred();
    if (handled > 0) waiters_.notify();  // before the engine sleeps

    const bool may_wait = until_ns > 0 && !(return_early && (had_mail || handled > 0));
    if (may_wait && prepare_to_sleep()) {
        const std::int64_t wake_ns = std::min(until_ns, timers_.next_ns());
        had_failed ? sleep_without_kernel(wake_ns) : ring_.enter(1, wake_ns);
        sleeping_.store(false, std::memory_order_relaxed);
    } else {
        ring_.enter(0, TimerNode::kNoDeadline);
    }
    const std::size_t before = handled;
    handled += dispatch();
    handled += finish_deferred();
    if (return_early && ring_.has_unsubmitted()) ring_.enter(0, TimerNode::kNoDeadline);
    if (handled > before) waiters_.notify();
    leave_turn();
    return handled;
}

void Loop::leave_turn() noexcept {
    DCHECK(!finishing_now_ && !mail_left_);
    DCHECK(!finishing_.load(std::memory_order_relaxed));
    DCHECK(invariants_hold());
    in_turn_ = false;
    if (!poll_fd_.is_open()) return;
    // No thread waits in the kernel; from here on the descriptor announces work.
    poll_fd_.set_deadline(timers_.next_ns());
    sleeping_.exchange(true, std::memory_order_acq_rel);
    if (has_work()) poll_fd_.signal();
}

bool Loop::has_work() const noexcept {
    return deferred_.first || ring_.has_completions() || !mailbox_.empty() ||
           !late_requests_.empty() || is_stopping() || ring_.kernel().pending();
}

// After the exchange other threads wake the engine; has_work() then sees the work that they added
// before.
bool Loop::prepare_to_sleep() noexcept {
    sleeping_.exchange(true, std::memory_order_acq_rel);
    if (!has_work()) return true;
    sleeping_.store(false, std::memory_order_relaxed);
    return false;
}

// A refused ring wakes no thread, and a thread that stops its engine still ends what it can.
void Loop::sleep_without_kernel(std::int64_t until_ns) noexcept {
    waiters_.wait_until([this] { return !sleeping_.load(std::memory_order_acquire); },
                        Clock::time_point(std::chrono::nanoseconds(until_ns)));
}

void Loop::wake() noexcept {
    if (has_failed()) waiters_.notify_locked();  // sleep_without_kernel()
    counters_.wakes.fetch_add(1, std::memory_order_relaxed);
    if (poll_fd_.is_open()) poll_fd_.signal();
    ring_.kernel().wake();
}

void Loop::defer(Completion& operation) noexcept {
    DCHECK(operation.finish && has_operations());
    DCHECK(deferred_.last != &operation);
    operation.mail.next = nullptr;
    if (deferred_.last) {
        deferred_.last->mail.next = &operation.mail;
    } else {
        deferred_.first = &operation;
    }
    deferred_.last = &operation;
}

// Finishes only the operations that were deferred before this step: a finisher that defers the next
// operation at once does not keep the loop from the kernel.
std::size_t Loop::finish_deferred() noexcept {
    DCHECK(in_turn_);
    if (!deferred_.first) return 0;
    std::size_t handled = 0;
    Deferred batch = std::exchange(deferred_, Deferred());
    finishing_now_ = &batch;
    while (Completion* const operation = batch.first) {
        // A Completion begins with its link.
        batch.first = reinterpret_cast<Completion*>(operation->mail.next);
        finish(*operation);
        ++handled;
    }
    finishing_now_ = nullptr;
    return handled;
}

bool Loop::deliver_mail() noexcept {
    DCHECK(!mail_left_);  // otherwise the rest of an unfinished delivery would be lost
    MailboxEntry* entry = mailbox_.take();
    const bool had_mail = entry != nullptr;
    while (entry) {
        mail_left_ = entry->next;  // an operation may reuse its link at once
        counters_.posts.add();
        entry->deliver(*entry);
        entry = mail_left_;
    }
    late_requests_.deliver();
    return had_mail;
}

void Loop::end_mail() noexcept {
    DCHECK(!in_turn_ && !mail_left_);
    delivers_mail_ = false;
    waiters_.exclude([this] { return mailbox_.take(); });  // its lock protects withdraw() too
}

void Loop::withdraw(const MailboxEntry& entry) noexcept {
    for (MailboxEntry* at = mailbox_.take(); at;) {
        MailboxEntry* const next = at->next;
        if (at != &entry) mailbox_.push(*at);
        at = next;
    }
}

void Loop::expire_timers() noexcept {
    DCHECK(in_turn_);
    if (timers_.armed() == 0) return;
    const std::int64_t now = now_ns();
    while (TimerNode* const node = timers_.expire(now)) {
        DCHECK(!node->previous);
        node->expire(*node, Errc::timed_out);
    }
}

void Loop::expire_all(std::error_code reason) noexcept {
    DCHECK(!in_turn_);
    timers_.gather();
    while (TimerNode* const node = timers_.take_gathered())
        node->expire(*node, reason);
}

bool Loop::is_idle() noexcept {
    return !has_operations() && mailbox_.empty() && !ring_.has_unsubmitted();
}

std::error_code Loop::open_poll_fd() noexcept {
    if (poll_fd_.is_open()) return {};
    if (const std::error_code error = poll_fd_.open(ring_.kernel())) return error;
    sleeping_.store(true, std::memory_order_release);
    poll_fd_.signal();  // a first run_once(0) finds the work that is due already
    return {};
}

void Loop::abandon() noexcept {
    poll_fd_.close();
    ring_.abandon();
    mail_left_ = nullptr;
    deferred_ = {};
    if (finishing_now_) *finishing_now_ = {};
    timers_.forget_all();
    late_requests_.abandon();
}

}  // namespace uaio
