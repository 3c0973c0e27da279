// The clock of deadlines and timeouts. Any thread.
#pragma once

#include <chrono>

namespace uaio {

// CLOCK_MONOTONIC (clock_gettime(2)): setting the time of day does not affect deadlines, and the
// clock stops while the machine is suspended. On a SimKernel, Engine::now() is virtual: take
// deadlines from it, not from Clock::now(), and compare only its own times with each other.
using Clock = std::chrono::steady_clock;

// No limit: the default of Aio::set_timeout(), and "no timeout" for every option that is a timeout.
// A deadline beyond the range of the clock counts as none as well.
inline constexpr std::chrono::nanoseconds kNoTimeout = std::chrono::nanoseconds::max();

}  // namespace uaio
