// How an operation is asked to end early: cancel(), abort(), stop(), deadlines, the end of the
// engine.
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/core.h"

#include <atomic>

namespace uaio {

// ---- on the engine's thread

void Provider::cancel(Aio& aio, std::error_code reason) noexcept {
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active || aio.reason_) return;
    DCHECK(reason);
    EngineCore& core = EngineCore::of(*aio.engine_);
    aio.reason_ = reason;
    aio.ended_early_ = true;
    core.counters().cancels.add();
    if (reason == make_error_code(Errc::timed_out)) core.counters().timeouts.add();
    if (const Canceler canceler = aio.canceler_) {
        aio.canceler_ = nullptr;
        return canceler(aio);
    }
    interrupt(aio);
}

void Provider::interrupt(Aio& aio) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    EngineCore::of(*aio.engine_).loop().ring().cancel(aio.completion_);
}

void Provider::replace_deadline(Aio& aio, std::int64_t deadline_ns) noexcept {
    // Its callback is due, and nothing would take the node out again.
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active) return;
    Loop& loop = EngineCore::of(*aio.engine_).loop();
    if (aio.timer_.previous) loop.timers().disarm(aio.timer_);
    aio.timer_.deadline_ns = deadline_ns;
    // For disarm(); the next accept_deadline() asks the timeout again.
    aio.has_deadline_.store(true, std::memory_order_relaxed);
    if (deadline_ns != TimerNode::kNoDeadline) loop.timers().arm(aio.timer_, loop.now_ns());
}

void Aio::disarm() noexcept {
    if (timer_.previous) EngineCore::of(*engine_).loop().timers().disarm(timer_);
}

void Aio::expire(TimerNode& node, std::error_code reason) noexcept {
    auto* const address = reinterpret_cast<std::byte*>(&node) - offsetof(Aio, timer_);
    Provider::cancel(*reinterpret_cast<Aio*>(address), reason);
}

// ---- any thread

void Aio::cancel() noexcept { request_cancel(Errc::canceled); }

void Aio::abort(std::error_code reason) noexcept {
    if (!reason) {
        return EngineCore::of(*engine_).misuse("abort without an error; it was ignored");
    }
    request_cancel(reason);
}

void Aio::stop() noexcept {
    Stop none = Stop::none;
    if (stop_.compare_exchange_strong(none, Stop::stopped, std::memory_order_release,
                                      std::memory_order_relaxed)) {
        request_stop(Errc::canceled);
    }
}

void Aio::request_cancel(std::error_code reason) noexcept {
    EngineCore& core = EngineCore::of(*engine_);
    if (core.on_thread()) {
        Provider::cancel(*this, reason);
        core.loop().announce_work();
        return;
    }
    if (core.is_over() || phase_.load(std::memory_order_acquire) == Phase::idle) return;
    core.request({.operation = &completion_,
                  .generation = completion_.generation.load(std::memory_order_acquire),
                  .reason = reason,
                  .deliver = &deliver_cancel});
}

// Behind the store of stop_. A callback may submit the Aio again at this very moment, and without a
// fence in submit() neither side needs to see the other. So another thread does not look at the
// operation: the engine's ends whichever it finds, and what it submits later meets stop_, which the
// lock of the request made visible.
void Aio::request_stop(std::error_code reason) noexcept {
    EngineCore& core = EngineCore::of(*engine_);
    if (core.on_thread() || core.is_over()) return request_cancel(reason);
    core.request({.operation = &completion_,
                  .generation = 0,
                  .reason = reason,
                  .deliver = &deliver_cancel,
                  .any_generation = true});
}

// False: the request overtook its operation, which the mailbox still holds.
bool Aio::deliver_cancel(Completion& completion, std::error_code reason) noexcept {
    Aio& aio = of(completion);
    if (aio.phase_.load(std::memory_order_relaxed) == Phase::posted) return false;
    Provider::cancel(aio, reason);
    return true;
}

}  // namespace uaio
