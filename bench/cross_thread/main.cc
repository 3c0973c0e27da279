// Measures writes of 64 bytes from a thread that does not run the writer's loop. Prints "ready",
// then for each command on standard input, `MILLISECONDS`, the number of writes and three medians
// in nanoseconds: of a write() and a wait() together, of the call of write(), and of the time from
// that call to the completion.
//
// Before each write the caller spins, so that the stream is idle and the loop's thread sleeps. The
// reader discards, on a thread of its own.
#include "bench/cross_thread/writer.h"
#include "bench/support/loopback.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace uaio::bench {
namespace {

using Clock = Writer::Clock;

// Time for a thread to fall asleep; it takes a few microseconds.
constexpr std::chrono::microseconds kFallAsleep(50);

void spin(Clock::duration duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) {
    }
}

class Times {
public:
    void add(Clock::duration time) {
        times_.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
    }
    std::size_t count() const { return times_.size(); }
    long long median() {
        if (times_.empty()) return 0;
        const auto middle = times_.begin() + static_cast<std::ptrdiff_t>(times_.size() / 2);
        std::nth_element(times_.begin(), middle, times_.end());
        return *middle;
    }

private:
    std::vector<std::int64_t> times_;
};

void run(Writer& writer, std::chrono::milliseconds duration) {
    Times waited;
    Times called;
    Times completed;
    const auto end = Clock::now() + duration;
    do {
        spin(kFallAsleep);
        const auto began = Clock::now();
        writer.write();
        writer.wait();
        waited.add(Clock::now() - began);

        spin(kFallAsleep);
        const auto before = Clock::now();
        writer.write();
        called.add(Clock::now() - before);
        writer.wait();
        completed.add(writer.completed() - before);
    } while (Clock::now() < end);
    std::printf("%zu %lld %lld %lld\n", waited.count(), waited.median(), called.median(),
                completed.median());
    std::fflush(stdout);
}

int serve() {
    const Listening listening;
    DiscardingReader reader;
    const std::unique_ptr<Writer> writer = make_writer(listening.port());
    reader.start(listening.accept());
    std::printf("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);)
        run(*writer, std::chrono::milliseconds(std::stoll(line)));
    return 0;
}

}  // namespace
}  // namespace uaio::bench

int main() {
    try {
        return uaio::bench::serve();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "cross_thread: %s\n", error.what());
        return 1;
    }
}
