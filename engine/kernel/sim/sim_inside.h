// Marks, on this thread, that the simulated kernel runs and not the program above it. For the
// kernel's thread.
#pragma once

#include "base/check.h"

namespace uaio {

class SimMachine;

class SimInside {
public:
    explicit SimInside(const SimMachine& machine) noexcept : outer_(current_) {
        DCHECK(outer_ != &machine);
        current_ = &machine;
    }
    ~SimInside() { current_ = outer_; }
    SimInside(const SimInside&) = delete;
    SimInside& operator=(const SimInside&) = delete;

    // The running kernel, or null.
    static const SimMachine* current() noexcept { return current_; }

private:
    static thread_local const SimMachine* current_;
    const SimMachine* outer_;
};

}  // namespace uaio
