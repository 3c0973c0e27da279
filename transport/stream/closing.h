// What a thread waits for that destroys a listener of an engine which another thread runs: the
// socket is closed and its address free. Made with the listener, so that its destructor allocates
// nothing. EngineObject by two: the thread that waits, and the engine's side.
#pragma once

#include "engine/core.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace uaio {

class Closing {
public:
    Closing() = default;
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;

    // Each of the two, once and last.
    void drop() noexcept {
        if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    // The engine's side: it is closed.
    void finish() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_one();
    }
    // The thread that waits. Not for ever: the engine's thread may wait for this one.
    void wait(const EngineCore& core) noexcept {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, core.drain_timeout(), [this] { return closed_; })) return;
        core.log(LogLevel::warning,
                 "a listener was destroyed while the thread of its engine did not run the engine; "
                 "its address is in use until it does");
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    std::atomic<unsigned> holders_{2};
};

}  // namespace uaio
