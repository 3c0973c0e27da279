// The descriptor behind Engine::fd(): an epoll set that becomes readable when a completion is
// posted, when the engine's next deadline passes, or when another thread calls signal(). Engine's
// thread, except signal(), which any thread may call once the set is open.
#pragma once

#include <uaio/nodes.h>

#include "engine/kernel/kernel.h"

#include <atomic>
#include <cstdint>

namespace uaio {

class PollFd {
public:
    PollFd() = default;
    ~PollFd();
    PollFd(const PollFd&) = delete;
    PollFd& operator=(const PollFd&) = delete;

    // Makes the set, which `kernel` makes readable at completions. Returns an errno when
    // descriptors run out.
    [[nodiscard]] std::error_code open(Kernel& kernel) noexcept;
    // Closes the set; in a child of fork(2) only the child's copies.
    void close() noexcept;
    bool is_open() const noexcept { return epoll_.load(std::memory_order_acquire) >= 0; }
    int fd() const noexcept { return epoll_.load(std::memory_order_acquire); }

    // Makes the set readable until the next consume().
    void signal() noexcept;
    // At the start of a turn, which handles the announced work: makes the set unreadable.
    void consume() noexcept;
    // At the end of a turn: the time at which the set becomes readable by itself, in nanoseconds of
    // CLOCK_MONOTONIC, or TimerNode::kNoDeadline.
    void set_deadline(std::int64_t deadline_ns) noexcept;

private:
    std::atomic<int> epoll_{-1};
    int event_ = -1;
    int timer_ = -1;
    std::int64_t armed_ns_ = TimerNode::kNoDeadline;
};

}  // namespace uaio
