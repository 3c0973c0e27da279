// Waits for an operation to end, also in the destructor of a busy Aio.
#include <uaio/aio.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/deadline.h"

#include <atomic>
#include <optional>

namespace uaio {
namespace {

Condition is_over(const Aio& aio) noexcept {
    return {&aio,
            [](const void* subject) noexcept { return !static_cast<const Aio*>(subject)->busy(); }};
}

}  // namespace

bool Aio::busy() const noexcept {
    // Phase and callback are two words; if the generation moved between them, the Aio was submitted
    // again meanwhile, and was busy.
    const std::uint32_t generation = completion_.generation.load(std::memory_order_acquire);
    if (phase_.load(std::memory_order_acquire) != Phase::idle) return true;
    if (EngineCore::of(*engine_).loop().is_finishing(completion_)) return true;
    return phase_.load(std::memory_order_acquire) != Phase::idle ||
           completion_.generation.load(std::memory_order_acquire) != generation;
}

std::error_code Aio::wait() noexcept {
    const std::error_code error = EngineCore::of(*engine_).wait(is_over(*this));
    return error ? error : result_;
}

bool Aio::wait_until(Clock::time_point deadline) noexcept {
    return EngineCore::of(*engine_).wait_until(is_over(*this), deadline);
}

std::error_code Aio::stop_and_wait() noexcept {
    EngineCore& core = EngineCore::of(*engine_);
    stop_.store(Stop::destroyed, std::memory_order_release);
    request_stop(Errc::closed);
    if (core.thread().is_bound() && !core.on_thread()) {
        const Clock::time_point soon = deadline_after(Clock::now(), core.patience());
        const bool ended = core.wait_for_thread(is_over(*this), soon);
        if (!ended && core.thread().is_bound() && !core.loop().has_failed())
            core.warn_of_long_wait();
    }
    return wait();
}

Aio::~Aio() {
    EngineCore& core = EngineCore::of(*engine_);
    // An Aio that deletes itself is idle in its own callback.
    const bool in_own_callback = core.on_thread() && phase_.load() == Phase::idle;
    std::optional<Visit> visit;  // the engine may end at once when the operation has ended
    if (!in_own_callback && busy()) {
        if (core.thread().is_bound() && !core.on_thread()) visit.emplace(core.gate());
        const std::error_code ended = stop_and_wait();
        ALWAYS_CHECK(
            ended != Errc::engine_lost || core.is_forked() || !busy(),
            "an Aio was destroyed while its operation was running, and the thread of its engine "
            "has ended; destroy the Aio earlier, or run the engine until the operation has ended");
        ALWAYS_CHECK(
            ended != Errc::resource_deadlock_would_occur || !busy(),
            "an Aio was destroyed in a callback while its operation was running; stop() it, and "
            "destroy it when the operation has ended");
        // The engine's lists refer to it, and the kernel may still write to its buffers.
        ALWAYS_CHECK(
            core.is_forked() || !core.loop().has_failed() || !busy(),
            "an Aio was destroyed while its operation was in the kernel, which has refused the "
            "ring of the engine; keep the memory of the Aio and of its buffers");
    }
    if (!core.is_forked()) core.loop().late_requests().forget(completion_);
    if (destroy_) destroy_(callback_);
    if (on_heap()) delete[] cursor_.base();
}

}  // namespace uaio
