// The threads that wait until an operation or object on an engine has ended. The engine's thread
// notifies them once a turn; without a waiter that costs one locked instruction. Any thread.
#pragma once

#include <uaio/clock.h>

#include "base/check.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

namespace uaio {

// A predicate that any thread may evaluate repeatedly.
struct Condition {
    const void* subject;
    bool (*holds)(const void* subject) noexcept;

    bool operator()() const noexcept { return holds(subject); }
};

class Waiters {
public:
    // Asks `done`, a bool(), again and again for about two microseconds, in which an engine that is
    // awake ends a small operation: sleeping and waking cost ten times that. Not where the threads
    // share one processor. Returns the last answer.
    template <class Done>
    static bool spin_until(Done done) noexcept {
        static const bool alone = std::thread::hardware_concurrency() < 2;
        for (int round = 0; !alone && round < kSpins; ++round) {
            if (done()) return true;
            pause();
        }
        return done();
    }

    Waiters() = default;
    ~Waiters() { DCHECK(count_.load(std::memory_order_relaxed) == 0); }
    Waiters(const Waiters&) = delete;
    Waiters& operator=(const Waiters&) = delete;

    // Wakes the waiters after a change that a condition depends on.
    //
    // A locked instruction on each side: the later one sees the stores before the earlier one, so
    // either the waiter finds that its condition holds or it is notified.
    void notify() noexcept {
        if (count_.fetch_add(0, std::memory_order_acq_rel) == 0) return;
        notify_locked();
    }
    // The same for a change without a locked instruction after its store.
    void notify_locked() noexcept {
        const std::lock_guard lock(mutex_);
        condition_.notify_all();
    }

    // Returns when `done`, a bool(), is true.
    template <class Done>
    void wait(Done done) {
        std::unique_lock lock(mutex_);
        count_.fetch_add(1, std::memory_order_acq_rel);
        condition_.wait(lock, done);
        count_.fetch_sub(1, std::memory_order_acq_rel);
    }
    // The same, until `deadline` at the latest; returns the last value of `done`.
    template <class Done>
    bool wait_until(Done done, Clock::time_point deadline) {
        std::unique_lock lock(mutex_);
        count_.fetch_add(1, std::memory_order_acq_rel);
        const bool result = condition_.wait_until(lock, deadline, done);
        count_.fetch_sub(1, std::memory_order_acq_rel);
        return result;
    }
    // Runs `work` while no notification can be sent.
    template <class Work>
    auto exclude(Work work) {
        const std::lock_guard lock(mutex_);
        return work();
    }

    // In a child of fork(2), which has none of the waiting threads. One of them may have held the
    // lock at the fork, and pthread_cond_destroy(3) waits for those that waited: both are made
    // anew.
    void forget_all() noexcept {
        count_ = 0;
        ::new (static_cast<void*>(&mutex_)) std::mutex;
        ::new (static_cast<void*>(&condition_)) std::condition_variable;
    }

private:
    static constexpr int kSpins = 100;

    static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("yield");
#endif
    }

    std::atomic<unsigned> count_{0};
    std::mutex mutex_;
    std::condition_variable condition_;
};

}  // namespace uaio
