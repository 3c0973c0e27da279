// CPU time of all threads of this process but one: the cost of a contender with all its threads,
// reported beside its speed, where another thread is the other end. Used by one thread.
#pragma once

#include <cstdint>
#include <ctime>

#include <benchmark/benchmark.h>

namespace uaio::bench {

class SideTime {
public:
    // `other_end` is the clock of the thread to leave out (pthread_getcpuclockid(3)), which must
    // run as long as this object is used.
    explicit SideTime(clockid_t other_end) noexcept : other_end_(other_end) {}

    void start() noexcept { nanoseconds_ -= now(); }
    void stop() noexcept { nanoseconds_ += now(); }

    // Adds the counter side_cpu_ns, nanoseconds an iteration.
    void report(benchmark::State& state) const {
        state.counters["side_cpu_ns"] = benchmark::Counter(static_cast<double>(nanoseconds_),
                                                           benchmark::Counter::kAvgIterations);
    }

private:
    std::int64_t now() const noexcept { return read(CLOCK_PROCESS_CPUTIME_ID) - read(other_end_); }

    static std::int64_t read(clockid_t clock) noexcept {
        timespec time{};
        clock_gettime(clock, &time);
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    }

    clockid_t other_end_;
    std::int64_t nanoseconds_ = 0;
};

}  // namespace uaio::bench
