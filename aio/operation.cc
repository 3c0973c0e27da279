// The life of an operation: accepted, started, begun or parked, finished.
#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"

#include <atomic>
#include <cstring>

namespace uaio {

static_assert(offsetof(Completion, mail) == 0, "a link of a Completion is cast to it");
static_assert(sizeof(Completion) <= 40, "an Aio has 64 bytes that every operation touches first");

// ---- accepting

bool Provider::submit(Engine& engine, Aio& aio, Starter starter, void* owner,
                      void* argument) noexcept {
    EngineCore& core = EngineCore::of(*aio.engine_);
    const bool usual = core.on_thread() && &engine == aio.engine_ &&
                       aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::idle;
    if (!usual) [[unlikely]]
        return submit_otherwise(engine, aio, starter, owner, argument);
    aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
    accept(aio, owner, argument);
    core.loop().count_operation();
    core.loop().announce_work();
    if (accept_deadline(aio) || stopped(aio)) [[unlikely]] {
        start_special(aio, starter);
    } else {
        starter(aio);
    }
    return true;
}

// From another thread, of another engine, or on an Aio that is not idle.
bool Provider::submit_otherwise(Engine& target, Aio& aio, Starter starter, void* owner,
                                void* argument) noexcept {
    EngineCore& core = EngineCore::of(*aio.engine_);
    if (&target != aio.engine_) starter = &start_on_wrong_engine;
    const bool here = core.on_thread();
    if (!here && core.is_over()) {
        refuse_when_over(aio);
        return false;
    }
    if (here && aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::forwarding) {
        take_over(aio, starter, owner, argument);
        return true;
    }
    Aio::Phase idle = Aio::Phase::idle;
    if (!aio.phase_.compare_exchange_strong(idle, here ? Aio::Phase::active : Aio::Phase::posted,
                                            std::memory_order_acquire)) {
        core.misuse("an operation was submitted on a busy Aio; it was ignored");
        return false;
    }
    accept(aio, owner, argument);
    accept_deadline(aio);
    if (here) {
        core.loop().count_operation();
        core.loop().announce_work();
        start_special(aio, starter);
        return true;
    }
    post(aio, starter);
    return true;
}

bool Provider::accept_elsewhere(Aio& aio, void* owner) noexcept {
    DCHECK(!EngineCore::of(*aio.engine_).on_thread());
    Aio::Phase idle = Aio::Phase::idle;
    if (!aio.phase_.compare_exchange_strong(idle, Aio::Phase::posted, std::memory_order_acquire))
        return false;
    accept(aio, owner, nullptr);
    accept_deadline(aio);
    return true;
}

bool Provider::is_before_deadline(const Aio& aio) noexcept {
    return !has_deadline(aio) || aio.timer_.deadline_ns > EngineCore::of(*aio.engine_).now_ns();
}

void Provider::post(Aio& aio, Starter starter) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::posted);
    aio.canceler_ = starter;  // free until the operation is parked, and of the same type
    aio.completion_.mail.deliver = &deliver;
    EngineCore::of(*aio.engine_).post(aio.completion_.mail);
}

void Provider::finish_elsewhere(Aio& aio, std::error_code error) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::posted);
    if (error) set_error(aio, error);
    DCHECK(!has_callback(aio) && !aio.timer_.previous);
    Waiters& waiters = EngineCore::of(*aio.engine_).loop().waiters();
    aio.become_idle();  // its user may destroy it now
    waiters.notify();
}

inline void Provider::accept(Aio& aio, void* owner, void* argument) noexcept {
    DCHECK(aio.canceler_ == nullptr && aio.notifications_ == 0 && !aio.timer_.previous);
    std::atomic<std::uint32_t>& generation = aio.completion_.generation;
    generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    aio.owner_ = owner;
    std::memcpy(aio.scratch_, &argument, sizeof argument);
    aio.count_ = 0;
    if (aio.ended_early_) [[unlikely]]
        forget_end(aio);
}

void Provider::forget_end(Aio& aio) noexcept {
    aio.ended_early_ = false;
    aio.result_.clear();
    aio.reason_.clear();
}

// True if the operation may have a deadline.
inline bool Provider::accept_deadline(Aio& aio) noexcept {
    if (!aio.has_deadline_.load(std::memory_order_relaxed)) [[likely]]
        return false;
    read_deadline(aio);
    return true;
}

void Provider::read_deadline(Aio& aio) noexcept {
    if (aio.deadline_set_) {
        aio.deadline_set_ = false;
        return;  // the next operation reads the timeout again
    }
    const std::int64_t timeout = aio.timeout_.count();
    if (aio.timeout_ == kNoTimeout) {
        aio.has_deadline_.store(false, std::memory_order_relaxed);
        aio.timer_.deadline_ns = TimerNode::kNoDeadline;
    } else if (timeout <= 0) {
        aio.timer_.deadline_ns = 0;  // has passed already
    } else {
        aio.timer_.deadline_ns =
            deadline_after(EngineCore::of(*aio.engine_).now_ns(), aio.timeout_);
    }
}

// No callback runs, since there is no thread for one. An Aio that was busy when the engine was lost
// does not change.
void Provider::refuse_when_over(Aio& aio) noexcept {
    EngineCore& core = EngineCore::of(*aio.engine_);
    if (aio.phase_.load(std::memory_order_acquire) == Aio::Phase::idle) {
        aio.count_ = 0;
        set_error(aio, Errc::engine_lost);
    }
    core.counters().misuse.fetch_add(1, std::memory_order_relaxed);
    core.log(LogLevel::error,
             core.is_forked()
                 ? "a child of fork(2) submitted an operation to an engine of the parent; it was "
                   "refused without a callback"
                 : "an operation was submitted to an engine whose thread has ended; it was "
                   "refused without a callback");
}

// ---- starting

void Provider::deliver(MailboxEntry& entry) noexcept {
    Aio& aio = Aio::of(reinterpret_cast<Completion&>(entry));
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::posted);
    DCHECK(EngineCore::of(*aio.engine_).on_thread());
    aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
    const Starter starter = aio.canceler_;
    aio.canceler_ = nullptr;
    EngineCore::of(*aio.engine_).loop().count_operation();
    start(aio, starter);
}

// An operation submitted on the engine's thread while ~Aio waits, so by the callback, ends without
// a callback. The provider sees an ordinary stopped Aio, since it must free the resources of the
// operation.
void Provider::start_special(Aio& aio, Starter starter) noexcept {
    if (aio.stop_.load(std::memory_order_relaxed) == Aio::Stop::destroyed)
        aio.completion_.finish = &Aio::finish_silently;
    start(aio, starter);
}

void Provider::start(Aio& aio, Starter starter) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    if (has_deadline(aio)) {
        // An operation whose deadline has passed before it starts is not armed; expired() sees
        // that.
        Loop& loop = EngineCore::of(*aio.engine_).loop();
        const std::int64_t now = loop.now_ns();
        if (aio.timer_.deadline_ns > now) loop.timers().arm(aio.timer_, now);
    }
    starter(aio);
    const bool destroyed = aio.stop_.load(std::memory_order_relaxed) == Aio::Stop::destroyed;
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active) {
        if (destroyed && aio.result_ == Errc::canceled) set_error(aio, Errc::closed);
    } else if (destroyed) {
        cancel(aio, Errc::closed);
    } else if (stopped(aio)) {
        cancel(aio, Errc::canceled);
    } else if (expired(aio)) {
        cancel(aio, Errc::timed_out);
    }
}

void Provider::start_on_wrong_engine(Aio& aio) noexcept { finish(aio, ArgumentErrc::wrong_engine); }

void Provider::prepare_forward(Aio& aio) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    DCHECK(EngineCore::of(*aio.engine_).on_thread());
    aio.phase_.store(Aio::Phase::forwarding, std::memory_order_relaxed);
}

// From its previous owner, which holds it neither parked nor in the kernel. Its timer stays armed
// or expired, so that the new starter sees the state of an Aio that was just accepted.
void Provider::take_over(Aio& aio, Starter starter, void* owner, void* argument) noexcept {
    aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
    aio.canceler_ = nullptr;
    aio.owner_ = owner;
    std::memcpy(aio.scratch_, &argument, sizeof argument);
    starter(aio);
}

// ---- in the kernel, parked, or finished

io_uring_sqe& Provider::begin(Aio& aio, Completion::Handler handler) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    aio.completion_.handler = handler;
    aio.canceler_ = nullptr;
    return EngineCore::of(*aio.engine_).loop().ring().begin(aio.completion_);
}

// A list of parked Aios would cost every operation two links and a branch. An Aio without a
// deadline has a free timer node, which Aio::disarm() takes out at its end; so only providers that
// the engine does not close pay, and only these stores.
void Provider::park(Aio& aio, Canceler canceler) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active && canceler);
    park_untracked(aio, canceler);
    if (aio.timer_.previous || has_deadline(aio)) return;
    // For disarm(); the next accept_deadline() clears it again.
    aio.has_deadline_.store(true, std::memory_order_relaxed);
    EngineCore::of(*aio.engine_).loop().timers().hold(aio.timer_);
}

void Provider::finish(Aio& aio, std::error_code error) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    DCHECK(aio.notifications_ == 0);
    if (aio.has_deadline_.load(std::memory_order_relaxed)) [[unlikely]]
        aio.disarm();
    aio.canceler_ = nullptr;
    if (error) set_error(aio, error);
    aio.phase_.store(Aio::Phase::finished, std::memory_order_relaxed);
    EngineCore::of(*aio.engine_).loop().defer(aio.completion_);
}

}  // namespace uaio
