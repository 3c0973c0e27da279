// Engines on threads of their own. Members are for the thread that owns the object, except engine()
// and size(), which any thread may call.
#pragma once

#include <uaio/engine.h>

#include <cstddef>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace uaio {

// An engine on a thread of its own. The thread blocks all signals except SIGPROF and those that its
// own instructions cause (SIGSEGV and the like).
class EngineThread {
public:
    // Returns when the engine runs. Throws like Engine's constructor, and std::system_error if the
    // thread cannot start (pthread_create(3)).
    explicit EngineThread(const EngineOptions& options = {});
    // Stops the engine, ends its operations with Errc::closed, destroys it on its thread and joins.
    // In a callback of its own, or in an exit(3) that such a callback calls, the engine ends after
    // that callback, without a join.
    ~EngineThread();

    Engine& engine() noexcept { return *engine_; }

private:
    Engine* engine_ = nullptr;
    std::promise<void> released_;
    std::thread thread_;
};

// Several engines, each on a thread of its own: one a processor.
class EngineGroup {
public:
    // `engines` of 0 means one for each processor that this process may use (sched_getaffinity(2)).
    // Throws like EngineThread.
    explicit EngineGroup(unsigned engines = 0, const EngineOptions& options = {});

    std::size_t size() const noexcept { return threads_.size(); }
    Engine& engine(std::size_t index) noexcept { return threads_[index]->engine(); }

private:
    std::vector<std::unique_ptr<EngineThread>> threads_;
};

}  // namespace uaio
