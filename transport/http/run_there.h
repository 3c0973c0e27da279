// Runs something on the thread of an engine, for objects that live on one and are made and
// destroyed on any.
#pragma once

#include "engine/core.h"

#include <future>

namespace uaio::http {

// Returns when `work` is done; on the caller's own thread if that is the engine's, or if no thread
// runs the engine yet.
template <class Work>
void run_there(Engine& engine, Work work) {
    if (engine.on_engine_thread() || !EngineCore::of(engine).is_bound()) return work();
    std::promise<void> done;
    engine.post([&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

}  // namespace uaio::http
