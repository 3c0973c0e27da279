#include <uaio/engine_group.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/thread.h"

#include <sched.h>

#include <new>
#include <utility>

namespace uaio {

EngineThread::EngineThread(const EngineOptions& options) {
    std::promise<Engine*> started;
    std::future<Engine*> engine = started.get_future();
    // The engine lives until the destructor has called leave() and returned from it. The promise
    // belongs to the thread, since set_value() may return after engine.get().
    thread_ = start_thread(
        [&options, started = std::move(started), released = released_.get_future()]() mutable {
            std::unique_ptr<Engine> own;
            try {
                own = std::make_unique<Engine>(options);
                own->run_once(std::chrono::nanoseconds::zero());  // binds it to this thread
            } catch (...) {
                started.set_exception(std::current_exception());
                return;
            }
            started.set_value(own.get());
            try {
                own->run();
            } catch (const std::system_error&) {
                // The engine has logged it.
            }
            EngineCore& core = EngineCore::of(*own);
            if (!core.is_forked()) core.run_stopped();
            if (core.is_forked()) {
                // A callback forked, and this is the child: exit(3), which the C library calls when
                // the child's only thread ends, may still destroy the EngineThread.
                static_cast<void>(own.release());
                return;
            }
            released.wait();
        });
    try {
        engine_ = engine.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

EngineThread::~EngineThread() {
    if (EngineCore::of(*engine_).is_forked()) {
        // The thread is the parent's. In the child the C library may have reused its pthread_t for
        // a new thread, so it is neither joined nor detached.
        EngineCore::of(*engine_).close_inherited();
        ::new (static_cast<void*>(&thread_)) std::thread;
        return;
    }
    const bool in_callback = thread_.get_id() == std::this_thread::get_id();
    EngineCore::of(*engine_).leave();
    released_.set_value();
    if (in_callback) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

EngineGroup::EngineGroup(unsigned engines, const EngineOptions& options) {
    if (engines == 0) {
        cpu_set_t usable;
        engines = sched_getaffinity(0, sizeof usable, &usable) == 0
                      ? static_cast<unsigned>(CPU_COUNT(&usable))
                      : 1;
    }
    DCHECK(engines > 0);
    threads_.reserve(engines);
    while (threads_.size() < engines)
        threads_.push_back(std::make_unique<EngineThread>(options));
}

}  // namespace uaio
