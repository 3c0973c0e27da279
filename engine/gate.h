// Admits other threads to an engine that its own thread may end meanwhile. Gates are never freed: a
// thread can ask the gate for an engine that is gone, and wake it after the last use of the engine.
// Engines use a gate one after another, each with its own number. An arrival lasts a few
// instructions and may post mail; a visit may wait for the engine, whose end wakes it. Any thread.
// No lock: in a child of fork(2), another thread might hold it for ever.
#pragma once

#include "base/check.h"
#include "engine/thread_binding.h"

#include <atomic>

namespace uaio {

class Gate {
public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    // Begins an arrival: until leave(), the engine lives and delivers the mail that is posted to
    // it. False, without an arrival, if the engine is about to end or has ended.
    bool enter(unsigned number) noexcept {
        arrivals_.fetch_add(1, std::memory_order_seq_cst);  // before the load, as in seal()
        if (number_.load(std::memory_order_seq_cst) == number) return true;
        leave();
        return false;
    }
    void leave() noexcept {
        const unsigned before = arrivals_.fetch_sub(1, std::memory_order_seq_cst);
        DCHECK(before > 0);
        if (before == 1 && is_sealed()) [[unlikely]]
            arrivals_.notify_all();
    }
    // REQUIRES: an arrival of the caller, or that it knows by other means that the engine lives.
    void begin_visit() noexcept { visits_.fetch_add(1, std::memory_order_acq_rel); }
    void end_visit() noexcept {
        const unsigned before = visits_.fetch_sub(1, std::memory_order_acq_rel);
        DCHECK(before > 0);
        if (before == 1) visits_.notify_all();
    }
    // After enter() returned false: waits for finish(). Returns at once in a child of fork(2) that
    // has no thread to call it.
    void wait_until_gone(unsigned number) const noexcept {
        while (number_.load(std::memory_order_acquire) == number + 1)
            number_.wait(number + 1, std::memory_order_acquire);
    }
    // True on the thread that ends the engine, between seal() and finish().
    bool ends_here(unsigned number) const noexcept {
        return number_.load(std::memory_order_acquire) == number + 1 &&
               ender_.load(std::memory_order_relaxed) == &thread_token;
    }

    // ---- the thread that ends the engine; each may be called again

    // Refuses arrivals from now on, and waits for those that have begun.
    void seal(unsigned number) noexcept {
        if (number_.load(std::memory_order_relaxed) == number) {
            ender_.store(&thread_token, std::memory_order_relaxed);
            number_.store(number + 1, std::memory_order_seq_cst);
        }
        wait_until_zero(arrivals_);
    }
    // The engine no longer uses its objects.
    void finish(unsigned number) noexcept {
        if (number_.exchange(number + 2, std::memory_order_acq_rel) != number + 2)
            number_.notify_all();
    }
    void wait_for_visits() const noexcept { wait_until_zero(visits_); }

private:
    friend class LiveEngines;

    static void wait_until_zero(const std::atomic<unsigned>& count) noexcept {
        while (const unsigned left = count.load(std::memory_order_seq_cst))
            count.wait(left, std::memory_order_seq_cst);
    }
    bool is_sealed() const noexcept { return number_.load(std::memory_order_seq_cst) % 2 != 0; }
    // In a child of fork(2), which has none of the other threads.
    void forget_threads() noexcept {
        arrivals_.store(0, std::memory_order_relaxed);
        visits_.store(0, std::memory_order_relaxed);
        const unsigned number = number_.load(std::memory_order_relaxed);
        if (is_sealed() && !ends_here(number - 1)) number_.store(number + 1);
    }

    // Even: the number of the engine that uses this, or of the next one. Odd: sealed.
    std::atomic<unsigned> number_{0};
    std::atomic<unsigned> arrivals_{0};
    std::atomic<unsigned> visits_{0};
    std::atomic<const char*> ender_{nullptr};  // the thread that sealed this
    Gate* next_ = nullptr;                     // in the list of all gates
    Gate* next_free_ = nullptr;
};

class Visit {
public:
    explicit Visit(Gate& gate) noexcept : gate_(gate) { gate_.begin_visit(); }
    ~Visit() { gate_.end_visit(); }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

private:
    Gate& gate_;
};

}  // namespace uaio
