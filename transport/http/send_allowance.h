// How long a write of HTTP may take: a timeout, and time for its bytes at the slowest rate that is
// worth waiting for. Pure; any thread.
#pragma once

#include <uaio/aio.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace uaio::http {

// `timeout` and another second for each 16 KiB; kNoTimeout stays.
constexpr std::chrono::nanoseconds send_allowance(std::chrono::nanoseconds timeout,
                                                  std::size_t bytes) noexcept {
    constexpr std::size_t kBytesASecond = 16 * 1024;
    constexpr std::size_t kMost = 1'000'000'000;  // seconds: more overflows a clock
    if (timeout == kNoTimeout) return timeout;
    const std::chrono::seconds for_bytes(std::min<std::size_t>(bytes / kBytesASecond, kMost));
    return std::min<std::chrono::nanoseconds>(timeout, std::chrono::seconds(kMost)) + for_bytes;
}

}  // namespace uaio::http
