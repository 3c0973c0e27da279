// The clock of deadlines and timeouts. Any thread.
#pragma once

#include <chrono>

namespace uaio {

// CLOCK_MONOTONIC (clock_gettime(2)). On a SimKernel, Engine::now() is virtual and only differences
// mean anything.
using Clock = std::chrono::steady_clock;

// No limit: the default of Aio::set_timeout() and of every option that is a timeout.
inline constexpr std::chrono::nanoseconds kNoTimeout = std::chrono::nanoseconds::max();

}  // namespace uaio
