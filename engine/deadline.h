// Computes when a timeout that begins now ends. Sums beyond the range of the clock become "never",
// and sums before its epoch become the epoch, which has passed.
// Pure; any thread.
#pragma once

#include <uaio/clock.h>
#include <uaio/nodes.h>

#include "base/check.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace uaio {

// In nanoseconds of Clock; TimerNode::kNoDeadline for kNoTimeout and any sum as large. REQUIRES:
// now_ns is not negative.
constexpr std::int64_t deadline_after(std::int64_t now_ns,
                                      std::chrono::nanoseconds timeout) noexcept {
    DCHECK(now_ns >= 0);
    if (timeout.count() >= TimerNode::kNoDeadline - now_ns) return TimerNode::kNoDeadline;
    return std::max<std::int64_t>(now_ns + timeout.count(), 0);
}

// The same as a time; Clock::time_point::max() for never.
inline Clock::time_point deadline_after(Clock::time_point now,
                                        std::chrono::nanoseconds timeout) noexcept {
    const std::int64_t now_ns = std::chrono::nanoseconds(now.time_since_epoch()).count();
    return Clock::time_point(std::chrono::nanoseconds(deadline_after(now_ns, timeout)));
}

}  // namespace uaio
