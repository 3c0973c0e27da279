// The time limit of an HTTP write: a timeout, plus the time to send its bytes at the slowest
// acceptable rate. Pure; any thread.
#pragma once

#include <uaio/aio.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace uaio::http {

// Returns `timeout` plus one second for each 16 KiB; kNoTimeout is returned unchanged.
constexpr std::chrono::nanoseconds send_allowance(std::chrono::nanoseconds timeout,
                                                  std::size_t bytes) noexcept {
    constexpr std::size_t kBytesASecond = 16 * 1024;
    constexpr std::size_t kMost = 1'000'000'000;  // seconds: more overflows a clock
    if (timeout == kNoTimeout) return timeout;
    const std::chrono::seconds for_bytes(std::min<std::size_t>(bytes / kBytesASecond, kMost));
    return std::min<std::chrono::nanoseconds>(timeout, std::chrono::seconds(kMost)) + for_bytes;
}

}  // namespace uaio::http
