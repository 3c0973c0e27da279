// The user's side of an Aio. It lies here and not in aio/ because every verb of it asks the engine.
#include <uaio/aio.h>

#include "base/check.h"
#include "engine/core.h"

#include <algorithm>
#include <new>

namespace uaio {

std::uint32_t Aio::first_generation() noexcept {
    static thread_local std::uint32_t state =
        static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&thread_token) >> 6);
    state = state * 1664525U + 1013904223U;  // of which the upper half is the better one
    return state >> 16;
}

Aio::~Aio() {
    EngineCore& core = EngineCore::of(*this);
    // Idle in its own callback is the ordinary end of an Aio that deletes itself.
    const bool in_own_callback = core.on_thread() && phase_.load() == Phase::idle;
    if (!in_own_callback && busy()) {
        const std::error_code ended = core.stop_and_wait(*this);
        CHECK(ended != Errc::engine_lost || core.is_forked() || !busy(),
              "an Aio was destroyed while its operation was running, and the thread that ran its "
              "engine has ended; destroy it before, or run the engine until it has ended");
        CHECK(ended != Errc::resource_deadlock_would_occur || !busy(),
              "an Aio was destroyed in a callback while its operation was running; stop() it and "
              "destroy it when it has ended");
    }
    core.forget(*this);
    if (destroy_) destroy_(callback_);
    if (on_heap()) delete[] cursor_.base();
}

std::error_code Aio::set_iov(std::span<const iovec> entries) noexcept {
    if (phase_.load(std::memory_order_relaxed) != Phase::idle) {
        EngineCore::of(*this).misuse("set_iov on a busy Aio; it was ignored");
        return Errc::invalid_argument;
    }
    return assign(entries);
}

std::error_code Aio::assign(std::span<const iovec> entries) noexcept {
    if (entries.size() > IovCursor::kMaxEntries) return Errc::invalid_argument;
    iovec* buffer = on_heap() ? cursor_.base() : inline_iov_;
    if (entries.size() > capacity_) {
        buffer = new (std::nothrow) iovec[entries.size()];
        if (!buffer) return Errc::not_enough_memory;
        if (on_heap()) delete[] cursor_.base();
        capacity_ = static_cast<std::uint16_t>(entries.size());
    }
    std::copy(entries.begin(), entries.end(), buffer);
    cursor_.assign(buffer, entries.size());
    return {};
}

std::error_code Aio::set_iov(const void* data, std::size_t size) noexcept {
    const iovec entry{const_cast<void*>(data), size};
    return set_iov({&entry, 1});
}

void Aio::set_timeout(std::chrono::nanoseconds timeout) noexcept {
    timeout_ = timeout;
    has_deadline_.store(true, std::memory_order_relaxed);
}

void Aio::set_deadline(Clock::time_point deadline) noexcept {
    if (phase_.load(std::memory_order_relaxed) != Phase::idle) {
        return EngineCore::of(*this).misuse("set_deadline on a busy Aio; it was ignored");
    }
    timer_.deadline_ns = std::max<std::int64_t>(deadline.time_since_epoch().count(), 0);
    deadline_set_ = true;
    has_deadline_.store(true, std::memory_order_relaxed);
}

void Aio::cancel() noexcept { EngineCore::of(*this).request_cancel(*this, Errc::canceled); }

void Aio::abort(std::error_code reason) noexcept {
    EngineCore& core = EngineCore::of(*this);
    if (!reason) return core.misuse("abort without an error; it was ignored");
    core.request_cancel(*this, reason);
}

void Aio::stop() noexcept { EngineCore::of(*this).stop_aio(*this); }

bool Aio::busy() const noexcept { return EngineCore::of(*this).busy(*this); }

std::error_code Aio::wait() noexcept { return EngineCore::of(*this).wait(*this); }

bool Aio::wait_until(Clock::time_point deadline) noexcept {
    return EngineCore::of(*this).wait_until(*this, deadline);
}

}  // namespace uaio
