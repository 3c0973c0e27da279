// Marks, on this thread, that the simulated kernel runs and not the program above it. For the
// kernel's thread.
#pragma once

#include "base/check.h"

namespace uaio {

class SimMachine;

class SimScope {
public:
    explicit SimScope(const SimMachine& machine) noexcept : outer_(current_) {
        DCHECK(outer_ != &machine);
        current_ = &machine;
    }
    ~SimScope() { current_ = outer_; }
    SimScope(const SimScope&) = delete;
    SimScope& operator=(const SimScope&) = delete;

    // The running kernel, or null.
    static const SimMachine* current() noexcept { return current_; }

private:
    static thread_local const SimMachine* current_;
    const SimMachine* outer_;
};

}  // namespace uaio
