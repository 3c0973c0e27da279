// Lets a thread that destroys a listener wait until the engine's thread has closed the socket and
// freed its address. Created with the listener, so that its destructor allocates nothing. Held by
// two: the waiting thread, and the engine's side.
#pragma once

#include "base/check.h"
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

    // The last call of each holder.
    void drop() noexcept {
        const unsigned holders = holders_.fetch_sub(1, std::memory_order_acq_rel);
        DCHECK(holders == 1 || holders == 2);
        if (holders == 1) delete this;
    }
    // Engine's side: the socket is closed.
    void finish() noexcept {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_one();
    }
    // Waiting thread. Waits at most EngineCore::patience(): the engine's thread may wait for this
    // one.
    void wait(const EngineCore& core) noexcept {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, core.patience(), [this] { return closed_; })) return;
        lock.unlock();  // the log hook may wait for the engine's thread
        core.log(LogLevel::warning,
                 "a listener was destroyed, and its engine has not closed it: no thread runs the "
                 "engine, or its thread is blocked; the address is in use until the engine runs");
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false;
    std::atomic<unsigned> holders_{2};
};

}  // namespace uaio
