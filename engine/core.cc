#include "engine/core.h"

#include "base/error_text.h"
#include "engine/deadline.h"
#include "engine/default_log.h"
#include "engine/kernel/limits.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <thread>
#include <utility>

namespace uaio {
namespace {

// Longer drains make no difference, and do not fit into nanoseconds.
constexpr std::chrono::milliseconds kLongDrain = std::chrono::hours(24 * 36500);

}  // namespace

EngineCore::EngineCore(Engine& engine, std::unique_ptr<Kernel> owned, Kernel& kernel,
                       const EngineOptions& options)
    : loop_(kernel),
      engine_(engine),
      owned_kernel_(std::move(owned)),
      options_(options),
      shutdown_(loop_, residents_),
      locked_(*this, kernel) {
    DCHECK(!owned_kernel_ || owned_kernel_.get() == &kernel);
    options_.drain_timeout =
        std::clamp(options_.drain_timeout, std::chrono::milliseconds::zero(), kLongDrain);
    list();
}

EngineCore::~EngineCore() {
    if (turns_here(*this)) engine_here = nullptr;  // a callback called exit(3)
    std::error_code error;
    if (bind_here(error)) {
        end();
    } else if (!is_over()) {
        log(LogLevel::error,
            "an engine was destroyed on another thread than the one that ran it; its operations in "
            "flight are lost");
    }
    gate().seal(gate_number());
    end_residents();
    if (is_over()) gate().wait_for_visits();  // otherwise nothing wakes them
    unlist();  // after the last callback: in a child that it forked, the ring is the parent's
    if (is_forked()) static_cast<void>(owned_kernel_.release());
}

// ---- running

void EngineCore::run() {
    bind_or_throw();
    while (!loop_.is_stopping()) {
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

std::size_t EngineCore::turn(std::int64_t until_ns, bool return_early) noexcept {
    DCHECK(on_thread());
    const void* const outer = std::exchange(engine_here, this);
    const std::size_t handled = loop_.turn(until_ns, return_early);
    engine_here = outer;
    if (loop_.has_failed() && !failure_reported_) [[unlikely]]
        report_failure();
    return handled;
}

void EngineCore::report_failure() noexcept {
    failure_reported_ = true;
    if (!is_forked()) {
        try {
            log(LogLevel::error, "the kernel refused the ring: " + strerror(failure()));
        } catch (const std::bad_alloc&) {
            log(LogLevel::error, "the kernel refused the ring");
        }
    }
    loop_.waiters().notify();
}

std::error_code EngineCore::failure() const noexcept {
    DCHECK(loop_.has_failed());
    return is_forked() ? make_error_code(Errc::engine_lost)
                       : error_from_result(loop_.ring().failure());
}

void EngineCore::throw_if_failed() const {
    if (!loop_.has_failed()) return;
    require_thread();
    throw std::system_error(-loop_.ring().failure(), std::system_category(),
                            "uaio: the kernel refused the ring of a running engine (was a seccomp "
                            "filter installed?)");
}

void EngineCore::run_stopped() noexcept {
    DCHECK(on_thread() && !loop_.in_turn());
    DCHECK(!stopped_);
    stopped_ = true;
    for (;;) {
        loop_.clear_stop();  // a set stop flag keeps the loop from sleeping
        if (leave_.load(std::memory_order_acquire) || is_forked()) return;
        turn(shutdown_.end_operations(TimerNode::kNoDeadline), true);
    }
}

void EngineCore::leave() noexcept {
    leave_.store(true, std::memory_order_release);
    stop();
}

// Ends everything: streams and listeners close, operations of other providers are cancelled, in the
// kernel or parked, and callbacks run until no operation is left or drain_timeout has passed.
void EngineCore::drain() noexcept {
    DCHECK(on_thread() && !loop_.in_turn());
    loop_.deliver_mail();
    shutdown_.stop_waking();
    const std::int64_t until = deadline_after(now_ns(), options_.drain_timeout);
    do {
        std::int64_t turn_until = shutdown_.end_operations(until);
        if (loop_.has_failed()) {  // only operations that are not in the kernel can end
            if (!loop_.has_deferred() && !loop_.has_mail()) break;
            turn_until = 0;
        }
        // An arrival that began before seal() may have posted.
        if (shutdown_.is_complete()) {
            gate().seal(gate_number());
            if (shutdown_.is_complete()) break;
        }
        turn(turn_until, true);  // returns when an operation has ended, perhaps the last
    } while (now_ns() < until);
    if (loop_.has_operations()) {
        log(LogLevel::error,
            "an engine was destroyed while operations were in flight; their callbacks will not "
            "run");
    } else if (loop_.has_mail()) {
        log(LogLevel::error,
            "an engine was destroyed while tasks were posted to it; they are lost");
    }
    gate().seal(gate_number());
    loop_.end_mail();
    loop_.waiters().notify();
}

void EngineCore::end_residents() noexcept {
    residents_.engine_destroyed();
    gate().finish(gate_number());
}

// Ends the engine on its thread: its operations, its objects and the waits of other threads.
void EngineCore::end() noexcept {
    drain();
    end_residents();
    if (is_forked()) return;
    thread_.mark_ended();
    loop_.waiters().notify_locked();  // a waiting thread reads the mark under this lock
}

// ---- threads

bool EngineCore::bind_here(std::error_code& error) noexcept {
    if (is_over()) {
        error = Errc::engine_lost;
        return false;
    }
    bool binds = false;
    const bool here = thread_.bind([&] {
        error = kernel().bind();
        if (error) return false;
        bind_to_this_thread();
        return binds = true;
    });
    if (binds) loop_.ring().arm_wake();
    DCHECK(here == on_thread());
    return here;
}

void EngineCore::bind_or_throw() {
    std::error_code error;
    if (on_thread() ? loop_.in_turn() : !bind_here(error)) {
        require_thread();
        if (!error) error = Errc::resource_deadlock_would_occur;
        throw std::system_error(error,
                                "uaio: only the first thread that ran an engine may run it, and "
                                "not inside a callback of the engine");
    }
}

void EngineCore::require_thread() const {
    if (is_over())
        throw std::system_error(Errc::engine_lost, with_advice("uaio", Errc::engine_lost));
}

// A ring accepts entries from one thread alone, so another thread could do little with it: the
// engine ends here, with all its operations.
void EngineCore::on_thread_end() noexcept {
    if (!on_thread() || loop_.in_turn()) return;  // in a turn: a callback called exit(3)
    end();
}

// The parent's threads may have been anywhere, so this reads nothing that they change. A simulated
// kernel is memory, of which the child has a whole copy.
void EngineCore::on_fork() noexcept {
    loop_.waiters().forget_all();  // the child may also use or destroy an engine that is over
    if (!owned_kernel_ || is_over()) return;
    residents_known_ = on_thread() || !thread_.is_bound();
    thread_.mark_forked();
    // At once, since the child may close these numbers and open its own files under them.
    owned_kernel_->close_inherited();
    locked_.received.abandon();
    loop_.abandon();
}

void EngineCore::close_inherited() noexcept {
    if (is_forked() && residents_known_) residents_.close_inherited();
}

// ---- other threads

void EngineCore::request(const LateRequest& late) noexcept {
    DCHECK(!on_thread());  // delivery holds the lock that add() takes
    while (!is_over() && !loop_.late_requests().add(late)) {
        // Full, and no memory to grow: the engine's next turn makes room.
        loop_.wake_if_asleep();
        std::this_thread::yield();
    }
    loop_.wake_if_asleep();
}

std::error_code EngineCore::wait(Condition done) noexcept {
    if (done()) return {};
    std::error_code error;
    if (on_thread() || bind_here(error)) {
        if (loop_.in_turn()) return Errc::resource_deadlock_would_occur;
        while (!done()) {
            turn(TimerNode::kNoDeadline, true);
            if (loop_.has_failed()) return failure();
        }
        return {};
    }
    if (error) return error;
    DCHECK(thread_.is_bound() || is_over());  // otherwise this thread would wait for ever
    const Visit visit(gate());
    if (Waiters::spin_until(done)) return {};
    loop_.waiters().wait([&] { return done() || loop_.has_failed() || is_over(); });
    if (done()) return {};
    return loop_.has_failed() ? failure() : make_error_code(Errc::engine_lost);
}

bool EngineCore::wait_until(Condition done, Clock::time_point deadline) noexcept {
    if (done()) return true;
    std::error_code error;
    if (on_thread() || bind_here(error)) {
        if (loop_.in_turn()) return false;
        const std::int64_t until = deadline.time_since_epoch().count();
        while (!done()) {
            if (loop_.has_failed() || now_ns() >= until) return false;
            turn(until, true);
        }
        return true;
    }
    if (error) return false;
    DCHECK(thread_.is_bound() || is_over());
    const Visit visit(gate());
    if (Waiters::spin_until(done)) return true;
    loop_.waiters().wait_until([&] { return done() || loop_.has_failed() || is_over(); }, deadline);
    return done();
}

bool EngineCore::wait_for_thread(Condition done, Clock::time_point deadline) noexcept {
    DCHECK(!on_thread() && (thread_.is_bound() || is_over()));
    const Visit visit(gate());
    return loop_.waiters().wait_until([&] { return done() || is_over(); }, deadline) && done();
}

void EngineCore::warn_of_long_wait() const noexcept {
    log(LogLevel::warning,
        "a thread waits for an engine that no thread runs: call run() or run_once() on the "
        "engine's thread, or destroy the engine there");
}

// ---- reports

void EngineCore::misuse(const char* what) noexcept {
    counters().misuse.fetch_add(1, std::memory_order_relaxed);
    log(LogLevel::warning, what);
#ifndef NDEBUG
    // A build with assertions stops at the wrong call; a release build goes on.
    check_failed(__FILE__, __LINE__, what);
#endif
}

void EngineCore::log(LogLevel level, std::string_view text) const noexcept {
    if (options_.log) return options_.log(level, text);
    log_to_standard_error(level, text);
}

int EngineCore::poll_fd() {
    if (is_over())
        throw std::system_error(make_error_code(Errc::engine_lost), "uaio: Engine::fd()");
    if (!owned_kernel_) return -1;
    if (const std::error_code error = thread_.exclude([this] { return loop_.open_poll_fd(); })) {
        const char* const limit = limit_behind(error.value());
        throw std::system_error(error,
                                std::string("uaio: Engine::fd() ") + (limit ? limit : "failed"));
    }
    return loop_.poll_fd();
}

}  // namespace uaio
