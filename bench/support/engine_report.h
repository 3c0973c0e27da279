// Reports an engine's system calls and submission entries for each operation, from its own
// statistics. Any thread.
#pragma once

#include <uaio/engine.h>

#include <cstdint>

#include <benchmark/benchmark.h>

namespace uaio::bench {

// Adds the counters enters_per_operation and entries_per_operation.
inline void report_engine(benchmark::State& state, const Engine& engine) {
    const EngineStatistics statistics = engine.statistics();
    const std::uint64_t operations = statistics.operations + statistics.direct_writes;
    const auto per_operation = [&](std::uint64_t count) {
        return static_cast<double>(count) / static_cast<double>(operations);
    };
    state.counters["enters_per_operation"] = per_operation(statistics.enters);
    state.counters["entries_per_operation"] = per_operation(statistics.submissions);
}

}  // namespace uaio::bench
