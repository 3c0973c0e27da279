// Counts the units of work of one run of a contender: first the warm-up, then the measured units,
// around which it starts and stops the benchmark's clock. Every contender runs its own loop
// undisturbed, an engine as well as a blocking one. Used by the benchmark's thread alone.
#pragma once

#include "bench/support/side_time.h"

#include <cstdint>

#include <benchmark/benchmark.h>

namespace uaio::bench {

class Meter {
public:
    // `warm_up` is at least 1. `side`, if not null, runs while the benchmark's clock does.
    Meter(benchmark::State& state, std::uint64_t warm_up, SideTime* side = nullptr) noexcept
        : left_(warm_up), state_(state), side_(side) {}

    Meter(const Meter&) = delete;
    Meter& operator=(const Meter&) = delete;

    // Counts one unit. Returns false after the last unit, and on every later call.
    bool count() {
        if (left_ > 1) [[likely]] {
            --left_;
            return true;
        }
        return next_phase();
    }

private:
    enum class Phase { warming, measuring, over };

    bool next_phase();

    std::uint64_t left_;  // units of this phase
    Phase phase_ = Phase::warming;
    benchmark::State& state_;
    SideTime* side_;
};

}  // namespace uaio::bench
