// Ends operations early: cancel(), abort(), stop(), deadlines, the end of the engine.
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace uaio {
namespace {

// A cancel is repeated after 1 ms, then after 2, up to 128.
constexpr std::chrono::nanoseconds kFirstRepeat = std::chrono::milliseconds(1);
constexpr std::uint8_t kLongestRepeat = 7;
constexpr std::uint8_t kNoMoreRepeats = 15;  // the canceler leaves the Aio to end

}  // namespace

// ---- on the engine's thread

void Provider::cancel(Aio& aio, std::error_code reason) noexcept {
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active || aio.reason_) return;
    DCHECK(reason);
    DCHECK(EngineCore::of(*aio.engine_).on_thread());
    Counters& counters = EngineCore::of(*aio.engine_).counters();
    aio.reason_ = reason;
    aio.ended_early_ = true;
    aio.repeats_ = 0;
    counters.cancels.add();
    if (reason == make_error_code(Errc::timed_out)) counters.timeouts.add();
    ask_to_end(aio);
    ask_again_later(aio);
}

// An active Aio that is not parked is in the kernel.
void Provider::ask_to_end(Aio& aio) noexcept {
    if (const Canceler canceler = aio.canceler_) {
        aio.canceler_ = nullptr;
        canceler(aio);
        if (!aio.canceler_) aio.repeats_ = kNoMoreRepeats;
    } else {
        interrupt(aio);
    }
}

// The kernel can lose a cancel: it does not find a send with MSG_WAITALL that it is about to try
// again (io_uring_prep_cancel(3), -ENOENT), and the send then waits for room once more (seen on
// Linux 6.18). So the request is repeated until the operation ends, which disarms its timer.
void Provider::ask_again_later(Aio& aio) noexcept {
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active) return;
    if (aio.repeats_ == kNoMoreRepeats) return;
    const std::chrono::nanoseconds wait = kFirstRepeat * (1 << aio.repeats_);
    if (aio.repeats_ < kLongestRepeat) ++aio.repeats_;
    Loop& loop = EngineCore::of(*aio.engine_).loop();
    if (aio.timer_.previous) loop.timers().disarm(aio.timer_);
    const std::int64_t now = loop.now_ns();
    aio.timer_.deadline_ns = deadline_after(now, wait);
    if (!has_deadline(aio)) return;                            // at the end of a simulated clock
    aio.has_deadline_.store(true, std::memory_order_relaxed);  // for disarm()
    loop.timers().arm(aio.timer_, now);
}

void Provider::interrupt(Aio& aio) noexcept {
    DCHECK(!aio.canceler_);  // a parked Aio has no operation in the kernel
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    EngineCore::of(*aio.engine_).loop().ring().cancel(aio.completion_);
}

void Provider::replace_deadline(Aio& aio, std::int64_t deadline_ns) noexcept {
    // If the callback is due, nothing would disarm the node again; after a cancel, it repeats that.
    if (aio.phase_.load(std::memory_order_relaxed) != Aio::Phase::active || aio.reason_) return;
    Loop& loop = EngineCore::of(*aio.engine_).loop();
    if (aio.timer_.previous) loop.timers().disarm(aio.timer_);
    aio.timer_.deadline_ns = std::max<std::int64_t>(deadline_ns, 0);
    // For disarm(); the next accept_deadline() reads the timeout again.
    aio.has_deadline_.store(true, std::memory_order_relaxed);
    if (deadline_ns != TimerNode::kNoDeadline) loop.timers().arm(aio.timer_, loop.now_ns());
}

void Aio::disarm() noexcept {
    if (timer_.previous) EngineCore::of(*engine_).loop().timers().disarm(timer_);
}

void Aio::expire(TimerNode& node, std::error_code reason) noexcept {
    auto* const address = reinterpret_cast<std::byte*>(&node) - offsetof(Aio, timer_);
    Aio& aio = *reinterpret_cast<Aio*>(address);
    if (!aio.reason_) return Provider::cancel(aio, reason);
    if (aio.phase_.load(std::memory_order_relaxed) != Phase::active) return;
    if (aio.repeats_ == kNoMoreRepeats) return;  // its own deadline, after its canceler was called
    if (reason == make_error_code(Errc::closed)) {  // the engine ends; the repeats go on
        Loop& loop = EngineCore::of(*aio.engine_).loop();
        return loop.timers().arm(node, loop.now_ns());
    }
    Provider::ask_to_end(aio);
    Provider::ask_again_later(aio);
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

// Called after the store of stop_. A callback may submit the Aio again at this moment, and without
// a fence in submit() neither side needs to see the other. So this thread does not look at the
// operation: the engine's thread cancels the one it finds, and later submissions see stop_, which
// the lock of the request made visible.
void Aio::request_stop(std::error_code reason) noexcept {
    EngineCore& core = EngineCore::of(*engine_);
    if (core.on_thread() || core.is_over()) return request_cancel(reason);
    core.request({.operation = &completion_,
                  .generation = 0,
                  .reason = reason,
                  .deliver = &deliver_cancel,
                  .any_generation = true});
}

// False if the request overtook its operation, which the mailbox still holds.
bool Aio::deliver_cancel(Completion& completion, std::error_code reason) noexcept {
    Aio& aio = of(completion);
    if (aio.phase_.load(std::memory_order_relaxed) == Phase::posted) return false;
    Provider::cancel(aio, reason);
    return true;
}

}  // namespace uaio
