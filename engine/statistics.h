// The counters behind EngineStatistics: one thread adds, any thread reads, no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace uaio {

struct EngineStatistics;

class Counter {
public:
    // The engine's thread only.
    void add(std::uint64_t amount = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    // Any thread.
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "add() is on the hot path");

    std::atomic<std::uint64_t> value_{0};
};

struct Counters {
    Counter turns, enters, submissions, completions, operations;
    Counter short_writes, gathered_writes;
    Counter cancels, timeouts, posts, full_rings;
    Counter zero_copy_sends, zero_copy_copied, registered_sends, begun;
    Counter accept_pauses;
    // Any thread adds to these.
    std::atomic<std::uint64_t> wakes{0};
    std::atomic<std::uint64_t> direct_writes{0};
    std::atomic<std::uint64_t> misuse{0};

    // Any thread.
    EngineStatistics snapshot() const noexcept;
};

}  // namespace uaio
