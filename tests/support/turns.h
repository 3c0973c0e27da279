// Runs an engine turn by turn on the test's thread. For the thread of that engine.
#pragma once

#include <uaio/engine.h>

#include "tests/support/kernels.h"

#include <chrono>
#include <functional>

namespace uaio {

// Until `done`; false after kPatience.
inline bool run_until(Engine& engine, const std::function<bool()>& done) {
    const Clock::time_point limit = Clock::now() + kPatience;
    while (!done()) {
        if (Clock::now() > limit) return false;
        engine.run_once(std::chrono::milliseconds(1));
    }
    return true;
}

// A few turns; completes everything ready. For checks that something does not happen.
inline void run_some(Engine& engine) {
    for (int turn = 0; turn < 10; ++turn)
        engine.run_once(std::chrono::milliseconds(1));
}

}  // namespace uaio
