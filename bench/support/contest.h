// Registers the contenders of a program. Each case has the contender "uaio" and at least one
// baseline, which do the same work; bench/run.py pairs them by their names, CASE/CONTENDER. Main
// thread.
#pragma once

#include "bench/support/unavailable.h"

#include <functional>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

namespace uaio::bench {

// The clock to compare.
enum class Timing {
    thread,  // CPU time of the benchmark's thread, which does all the work
    wall,    // real time, since other threads take part
    manual,  // the real time that the contender reports
};

using Contender = std::function<void(benchmark::State&)>;

// Contenders of one case run right after each other, in whatever order they are added.
void add(std::string_view name, std::string_view contender, Timing timing, Contender run);

// Each program defines this function and calls add() in it.
void add_contenders();

}  // namespace uaio::bench
