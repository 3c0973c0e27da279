// The one source of randomness in the simulated kernel: splitmix64, a 64-bit counter that steps by
// the golden ratio and is mixed on output. Implemented here, so that a seed gives the same run with
// every standard library. For the kernel's thread.
#pragma once

#include "base/check.h"

#include <chrono>
#include <cstdint>

namespace uaio {

class SimRandom {
public:
    explicit SimRandom(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return mixed ^ (mixed >> 31);
    }

    // `low` to `high`, both included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
        return high <= low ? low : low + next() % (high - low + 1);
    }

    std::chrono::nanoseconds between(std::chrono::nanoseconds low,
                                     std::chrono::nanoseconds high) noexcept {
        DCHECK(low.count() >= 0 && high.count() >= 0);
        return std::chrono::nanoseconds(between(static_cast<std::uint64_t>(low.count()),
                                                static_cast<std::uint64_t>(high.count())));
    }

    // Draws nothing at a rate of 0, so that a fault that is off does not change the run.
    bool chance(unsigned per_mille) noexcept { return per_mille > 0 && next() % 1000 < per_mille; }

private:
    std::uint64_t state_;
};

}  // namespace uaio
