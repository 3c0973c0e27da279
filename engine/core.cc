#include "engine/core.h"

#include "base/check.h"
#include "base/error_text.h"
#include "engine/deadline.h"
#include "engine/default_log.h"
#include "engine/kernel/limits.h"

#include <algorithm>
#include <cerrno>

#include <liburing.h>

namespace uaio {
namespace {

// Longer drains are no different, and do not fit into nanoseconds.
constexpr std::chrono::milliseconds kLongDrain = std::chrono::hours(24 * 36500);

}  // namespace

EngineCore::EngineCore(Engine& engine, std::unique_ptr<Kernel> owned, Kernel& kernel,
                       const EngineOptions& options)
    : ring_(kernel.ring()),
      kernel_(&kernel),
      engine_(engine),
      owned_kernel_(std::move(owned)),
      options_(options) {
    options_.drain_timeout =
        std::clamp(options_.drain_timeout, std::chrono::milliseconds::zero(), kLongDrain);
    cancels_.reserve(64);
    tail_ = published_ = head_ = *ring_.sq_tail;
    cq_head_ = *ring_.cq_head;
    list();
}

EngineCore::~EngineCore() {
    std::error_code error;
    if (bind_here(error)) {
        drain();
    } else if (!is_over()) {
        log(LogLevel::error,
            "an engine was destroyed on another thread than the one that ran it; what was in "
            "flight is lost");
    }
    detach_residents();
    unlist();  // behind the last callback, which may fork: then the ring is not the child's to free
    if (is_forked()) static_cast<void>(owned_kernel_.release());
}

void EngineCore::detach_residents() noexcept {
    while (residents_) {
        Resident& resident = *residents_;
        remove_resident(resident);
        resident.engine_destroyed();
    }
}

// Ends everything: streams and listeners close, operations of other providers are cancelled, in the
// kernel or parked, and callbacks run until nothing is left or the time is up.
void EngineCore::drain() noexcept {
    deliver_mail();
    shut_down_residents();
    draining_ = true;
    cancel_all();
    const std::int64_t until = deadline_after(now_ns(), drain_timeout());
    while (failure_ == 0) {
        end_parked();  // each turn, since a callback may submit the next
        if (is_idle() || now_ns() >= until) break;
        turn(until, true);  // does not wait once something ended, which may have been all
    }
    if (counters_.begun.value() != counters_.operations.value()) {
        log(LogLevel::error,
            "an engine was destroyed while operations were in flight; their callbacks will not "
            "run");
    } else if (!mailbox_.empty()) {
        log(LogLevel::error,
            "an engine was destroyed while tasks were posted to it; they are lost");
    }
    notify_waiters();
}

void EngineCore::shut_down_residents() noexcept {
    for (Resident* resident = residents_; resident;) {
        Resident* const next = resident->next_resident_;
        resident->begin_shutdown();
        resident = next;
    }
}

// What is in the kernel.
void EngineCore::cancel_all() noexcept {
    io_uring_sqe& sqe = next_sqe();
    io_uring_prep_cancel64(&sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe.user_data = static_cast<std::uint64_t>(Tag::ignored);
}

void EngineCore::run_stopped() noexcept {
    std::uint64_t cancelled = 0;
    stopped_ = true;
    for (;;) {
        stop_.store(false, std::memory_order_relaxed);  // or it would not sleep
        if (leave_.load(std::memory_order_acquire) || failure_ != 0) return;
        shut_down_residents();
        if (const std::uint64_t begun = counters_.begun.value(); begun != cancelled) {
            cancel_all();
            cancelled = begun;
        }
        end_parked();
        turn(TimerNode::kNoDeadline, true);
    }
}

void EngineCore::leave() noexcept {
    leave_.store(true, std::memory_order_release);
    stop();
}

// What is parked and no Resident's is found where deadlines are kept, see park_to_be_found(). The
// other nodes there are of operations in the kernel, which end all the same.
void EngineCore::end_parked() noexcept {
    while (TimerNode* const node = timers_.take_any())
        cancel_here(*aio_of(*node), Errc::closed);
}

bool EngineCore::is_idle() const noexcept {
    for (const Resident* resident = residents_; resident; resident = resident->next_resident_) {
        if (!resident->is_idle()) return false;
    }
    return counters_.begun.value() == counters_.operations.value() && mailbox_.empty() &&
           tail_ == *ring_.sq_head;
}

void EngineCore::add_resident(Resident& resident) noexcept {
    resident.next_resident_ = residents_;
    resident.previous_resident_ = &residents_;
    if (residents_) residents_->previous_resident_ = &resident.next_resident_;
    residents_ = &resident;
}

void EngineCore::remove_resident(Resident& resident) noexcept {
    if (!resident.previous_resident_) return;
    *resident.previous_resident_ = resident.next_resident_;
    if (resident.next_resident_) {
        resident.next_resident_->previous_resident_ = resident.previous_resident_;
    }
    resident.previous_resident_ = nullptr;
}

// --- Threads ---

bool EngineCore::bind_here(std::error_code& error) noexcept {
    if (is_over()) {
        error = Errc::engine_lost;
        return false;
    }
    const std::lock_guard lock(bind_mutex_);
    if (thread_.load(std::memory_order_relaxed)) return on_thread();
    error = kernel_->bind();
    if (error) return false;
    bind_to_this_thread();
    thread_.store(&thread_token, std::memory_order_release);
    arm_wake();
    return true;
}

// A ring accepts entries from one thread alone, so what another one could still do is little: the
// engine ends here, with everything it has.
void EngineCore::on_thread_end() noexcept {
    if (!on_thread() || in_turn_) return;  // in a turn: a callback called exit(3)
    drain();
    detach_residents();
    thread_.store(&thread_ended_mark, std::memory_order_seq_cst);
    // Behind the store: a thread that waits looks at it under this lock.
    const std::lock_guard lock(wait_mutex_);
    wait_condition_.notify_all();
}

// The parent's threads may have been anywhere, so nothing is looked at that they change. A
// simulated kernel is memory, of which the child has a whole copy.
void EngineCore::on_fork() noexcept {
    if (!owned_kernel_ || is_over()) return;
    residents_known_ = on_thread() || !is_bound();
    thread_.store(&forked_mark, std::memory_order_release);
    // Now, since the child may close these numbers and open its own files under them.
    owned_kernel_->close_inherited();
    foreign_loop_.close();
    // For a callback that forked and returns to the loop in the child: it finds an empty ring and a
    // kernel that fails.
    inherited_.take_over(*kernel_, cq_head_, static_cast<std::uint64_t>(Tag::ignored));
    kernel_ = &inherited_;
    ring_ = inherited_.ring();
    failure_ = -EOWNERDEAD;
    ready_left_ = 0;
    mail_left_ = nullptr;
    finished_ = AioQueue();
    if (finishing_) *finishing_ = AioQueue();
    timers_.forget_all();
    waiters_ = 0;
    cancels_pending_ = 0;
}

void EngineCore::close_inherited() noexcept {
    if (!is_forked() || !residents_known_) return;
    for (Resident* resident = residents_; resident; resident = resident->next_resident_)
        resident->close_inherited();
}

void EngineCore::require_thread() const {
    if (is_over())
        throw std::system_error(Errc::engine_lost, with_advice("uaio", Errc::engine_lost));
}

void EngineCore::bind_or_throw() {
    std::error_code error;
    if (on_thread() ? in_turn_ : !bind_here(error)) {
        require_thread();
        if (!error) error = Errc::resource_deadlock_would_occur;
        throw std::system_error(
            error,
            "uaio: an engine is run by one thread, the first that ran it, and not inside "
            "its own callbacks");
    }
}

void EngineCore::post(MailboxEntry& entry) noexcept {
    if (mailbox_.push(entry)) wake_if_asleep();
}

void EngineCore::wake_if_asleep() noexcept {
    if (sleeping_.exchange(false, std::memory_order_acq_rel)) wake();
}

void EngineCore::wake() noexcept {
    counters_.wakes.fetch_add(1, std::memory_order_relaxed);
    if (foreign_loop_.is_open()) foreign_loop_.signal();
    kernel_->wake();
}

void EngineCore::stop() noexcept {
    stop_.store(true, std::memory_order_release);
    wake_if_asleep();
}

// --- Waiting ---

bool EngineCore::busy(const Aio& aio) const noexcept {
    // Phase and callback are two words; if the generation moved between them, the Aio was submitted
    // again meanwhile, and was busy.
    const std::uint32_t generation = aio.generation_.load(std::memory_order_acquire);
    if (aio.phase_.load(std::memory_order_acquire) != Aio::Phase::idle) return true;
    if (in_callback_.load(std::memory_order_acquire) == &aio) return true;
    return aio.phase_.load(std::memory_order_acquire) != Aio::Phase::idle ||
           aio.generation_.load(std::memory_order_acquire) != generation;
}

// True if the caller's thread is the engine's, or becomes it because no other ran the engine yet.
// False with an error: no thread runs it.
bool EngineCore::runs_here(std::error_code& error) noexcept {
    return on_thread() || bind_here(error);
}

std::error_code EngineCore::wait(Aio& aio) noexcept {
    if (!busy(aio)) return aio.result_;
    std::error_code error;
    if (runs_here(error)) {
        if (in_turn_) return Errc::resource_deadlock_would_occur;
        while (busy(aio)) {
            turn(TimerNode::kNoDeadline, true);
            if (failure_ != 0) return failure();
        }
        return aio.result_;
    }
    if (error) return error;
    return wait_elsewhere(aio, [this](std::unique_lock<std::mutex>& lock, const auto& is_over) {
        wait_condition_.wait(lock, is_over);
    });
}

// While another thread runs the engine. `wait`, given the lock and a condition, waits for it, or
// gives up.
template <class Wait>
std::error_code EngineCore::wait_elsewhere(const Aio& aio, Wait wait) noexcept {
    std::unique_lock lock(wait_mutex_);
    waiters_.fetch_add(1, std::memory_order_acq_rel);
    wait(lock, [&] { return !busy(aio) || failure_ != 0 || is_over(); });
    waiters_.fetch_sub(1, std::memory_order_acq_rel);
    if (!busy(aio)) return aio.result_;
    return failure_ != 0 ? failure() : make_error_code(Errc::engine_lost);
}

std::error_code EngineCore::failure() const noexcept {
    return is_forked() ? make_error_code(Errc::engine_lost) : error_from_result(failure_);
}

bool EngineCore::wait_until(Aio& aio, Clock::time_point deadline) noexcept {
    if (!busy(aio)) return true;
    std::error_code error;
    if (runs_here(error)) {
        if (in_turn_) return false;
        const std::int64_t until = deadline.time_since_epoch().count();
        while (busy(aio)) {
            if (failure_ != 0 || now_ns() >= until) return false;
            turn(until, true);
        }
        return true;
    }
    if (error) return false;
    wait_elsewhere(aio, [&](std::unique_lock<std::mutex>& lock, const auto& is_over) {
        wait_condition_.wait_until(lock, deadline, is_over);
    });
    return !busy(aio);
}

bool EngineCore::post_and_wait(MailboxEntry& entry, const std::atomic<bool>& done) noexcept {
    post(entry);
    const auto is_done = [&] { return done.load(std::memory_order_acquire) || is_over(); };
    const auto may_go_on = [&] { return is_done() || failure_ != 0; };
    std::unique_lock lock(wait_mutex_);
    waiters_.fetch_add(1, std::memory_order_acq_rel);
    if (!wait_condition_.wait_for(lock, drain_timeout(), may_go_on)) {
        lock.unlock();
        warn_of_long_wait();
        lock.lock();
        wait_condition_.wait(lock, may_go_on);
    }
    const bool withdrawn = !done.load(std::memory_order_acquire) && withdraw_mail(entry);
    if (!withdrawn) wait_condition_.wait(lock, is_done);  // it was delivered before the end
    waiters_.fetch_sub(1, std::memory_order_acq_rel);
    return !withdrawn && done.load(std::memory_order_acquire);
}

// False if it has been delivered. With wait_mutex_ locked, once the loop takes no mail any more.
bool EngineCore::withdraw_mail(const MailboxEntry& entry) noexcept {
    bool found = false;
    for (MailboxEntry* at = mailbox_.take(); at;) {
        MailboxEntry* const next = at->next;
        if (at == &entry) {
            found = true;
        } else {
            mailbox_.push(*at);
        }
        at = next;
    }
    return found;
}

void EngineCore::warn_of_long_wait() const noexcept {
    log(LogLevel::warning,
        "a thread waits for an engine that its own thread does not run: let that thread go on with "
        "run() or run_once(), or destroy the engine there");
}

// --- Reports ---

void EngineCore::misuse(const char* what) noexcept {
    counters_.misuse.fetch_add(1, std::memory_order_relaxed);
    log(LogLevel::warning, what);
#ifndef NDEBUG
    // A program under development stops where it is wrong; its users are told and go on.
    check_failed(__FILE__, __LINE__, what);
#endif
}

void EngineCore::log(LogLevel level, std::string_view text) const noexcept {
    if (options_.log) return options_.log(level, text);
    log_to_standard_error(level, text);
}

EngineStatistics EngineCore::statistics() const noexcept {
    EngineStatistics result;
    result.turns = counters_.turns.value();
    result.enters = counters_.enters.value();
    result.submissions = counters_.submissions.value();
    result.completions = counters_.completions.value();
    result.operations = counters_.operations.value();
    result.short_writes = counters_.short_writes.value();
    result.gathered_writes = counters_.gathered_writes.value();
    result.cancels = counters_.cancels.value();
    result.timeouts = counters_.timeouts.value();
    result.posts = counters_.posts.value();
    result.full_rings = counters_.full_rings.value();
    result.zero_copy_sends = counters_.zero_copy_sends.value();
    result.zero_copy_copied = counters_.zero_copy_copied.value();
    result.accept_pauses = counters_.accept_pauses.value();
    result.wakes = counters_.wakes.load(std::memory_order_relaxed);
    result.misuse = counters_.misuse.load(std::memory_order_relaxed);
    result.in_flight = counters_.begun.value() - result.operations;
    return result;
}

int EngineCore::loop_fd() {
    if (is_over())
        throw std::system_error(make_error_code(Errc::engine_lost), "uaio: Engine::fd()");
    if (!owned_kernel_) return -1;
    const std::lock_guard lock(bind_mutex_);
    if (!foreign_loop_.is_open()) {
        if (const std::error_code error = foreign_loop_.open(*kernel_)) {
            const char* const limit = limit_behind(error.value());
            throw std::system_error(
                error, std::string("uaio: Engine::fd() ") + (limit ? limit : "failed"));
        }
        sleeping_.store(true, std::memory_order_release);
        foreign_loop_.signal();  // whatever is due already is found by a first run_once(0)
    }
    return foreign_loop_.fd();
}

}  // namespace uaio
