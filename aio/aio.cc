// The user's side of an Aio: its buffers, its timeout.
#include <uaio/aio.h>

#include "base/check.h"
#include "engine/core.h"

#include <algorithm>
#include <new>

namespace uaio {

static_assert(std::is_standard_layout_v<Aio>, "an Aio is found from its Completion and TimerNode");

std::uint32_t Aio::first_generation() noexcept {
    static thread_local std::uint32_t state =
        static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&thread_token) >> 6);
    state = state * 1664525U + 1013904223U;  // the upper half has the longer period
    return state >> 16;
}

std::error_code Aio::set_iov(std::span<const iovec> entries) noexcept {
    if (phase_.load(std::memory_order_relaxed) != Phase::idle) {
        report_busy();
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
    DCHECK(entries.size() <= capacity_);
    std::copy(entries.begin(), entries.end(), buffer);
    cursor_.assign(buffer, entries.size());
    return {};
}

void Aio::report_busy() noexcept {
    EngineCore::of(*engine_).misuse("set_iov on a busy Aio; it was ignored");
}

void Aio::set_timeout(std::chrono::nanoseconds timeout) noexcept {
    timeout_ = timeout;
    has_deadline_.store(true, std::memory_order_relaxed);
}

void Aio::set_deadline(Clock::time_point deadline) noexcept {
    if (phase_.load(std::memory_order_relaxed) != Phase::idle) {
        return EngineCore::of(*engine_).misuse("set_deadline on a busy Aio; it was ignored");
    }
    timer_.deadline_ns = std::max<std::int64_t>(deadline.time_since_epoch().count(), 0);
    deadline_set_ = true;
    has_deadline_.store(true, std::memory_order_relaxed);
}

}  // namespace uaio
