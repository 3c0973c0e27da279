// The thread that runs an engine: none yet, one, or none any more. Any thread.
#pragma once

#include "base/check.h"

#include <atomic>
#include <mutex>

namespace uaio {

// Its address names the thread: one instruction, where pthread_self(3) is a call.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local char thread_token = 0;

class ThreadBinding {
public:
    // True if this thread runs the engine.
    bool is_here() const noexcept {
        return thread_.load(std::memory_order_relaxed) == &thread_token;
    }
    // True if some thread runs it.
    bool is_bound() const noexcept { return load() != nullptr && !is_over(); }
    // True if no thread runs it any more, nor will.
    bool is_over() const noexcept {
        const char* const thread = load();
        return thread == &forked_mark_ || thread == &ended_mark_;
    }
    // True in a child of the process that made the engine: the engine must not be used there, and
    // its locks may be held for ever.
    bool is_forked() const noexcept { return load() == &forked_mark_; }

    // Binds to this thread unless another was bound before; `prepare`, a bool(), may refuse. True
    // if the engine is this thread's. REQUIRES: not over.
    template <class Prepare>
    bool bind(Prepare prepare) {
        const std::lock_guard lock(mutex_);
        if (load()) return is_here();
        if (!prepare()) return false;
        thread_.store(&thread_token, std::memory_order_release);
        return true;
    }
    // Runs `work` while no thread can begin to run the engine; false, without running it, if one
    // has.
    template <class Work>
    bool run_if_unbound(Work work) {
        if (is_over()) return false;
        const std::lock_guard lock(mutex_);
        if (load()) return false;
        work();
        return true;
    }

    // Runs `work` while no thread begins to run the engine.
    template <class Work>
    auto exclude(Work work) {
        const std::lock_guard lock(mutex_);
        return work();
    }

    void mark_forked() noexcept {
        DCHECK(!is_over());
        thread_.store(&forked_mark_, std::memory_order_release);
    }
    void mark_ended() noexcept {
        DCHECK(is_here());
        thread_.store(&ended_mark_, std::memory_order_seq_cst);
    }

private:
    static_assert(std::atomic<const char*>::is_always_lock_free, "a child of fork(2) may not lock");

    const char* load() const noexcept { return thread_.load(std::memory_order_acquire); }

    // Values of thread_ when no thread runs the engine any more.
    static inline char forked_mark_ = 0;
    static inline char ended_mark_ = 0;

    std::mutex mutex_;
    std::atomic<const char*> thread_{nullptr};
};

}  // namespace uaio
