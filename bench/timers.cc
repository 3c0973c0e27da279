// The cost of deadlines: `arm_disarm` arms and disarms one timer among others, as nearly every
// operation with a timeout does; `expire` lets timers expire; `idle_turn` is a turn of the engine
// with nothing due. One unit is one timer, or one turn. Baseline: a std::multimap by deadline.
#include <uaio/aio.h>

#include "bench/peers/multimap_timers.h"
#include "bench/support/contest.h"
#include "engine/timer_queue.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

constexpr std::int64_t kNow = 1'000'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLatest = 60 * kSecond;
constexpr std::size_t kDeadlines = 1 << 14;  // generated before the loop, used in turn
static_assert((kDeadlines & (kDeadlines - 1)) == 0);

// Every contender gets the same deadlines.
std::vector<std::int64_t> random_deadlines(std::size_t count, std::int64_t delay = 0) {
    std::mt19937_64 random(20240229);
    std::uniform_int_distribution<std::int64_t> after(1'000'000, kLatest);
    std::vector<std::int64_t> deadlines(count);
    std::ranges::generate(deadlines, [&] { return kNow + delay + after(random); });
    return deadlines;
}

// A timer lies in an Aio, where it shares no cache line with another.
template <class Timer>
struct Owner {
    Timer timer;
    std::byte rest[sizeof(Aio) - sizeof(Timer)];
};

// A wheel with `others` timers armed, at random times from `delay` on.
class Wheel {
public:
    explicit Wheel(std::size_t others, std::int64_t delay = 0) : others_(others) {
        const std::vector<std::int64_t> deadlines = random_deadlines(others, delay);
        for (std::size_t i = 0; i < others; ++i) {
            others_[i].timer.deadline_ns = deadlines[i];
            queue_.arm(others_[i].timer, kNow);
        }
    }

    void arm_and_disarm(std::int64_t deadline_ns) {
        one_.deadline_ns = deadline_ns;
        queue_.arm(one_, kNow);
        benchmark::ClobberMemory();
        queue_.disarm(one_);
    }

    // A turn with nothing due: looks for expired timers and computes how long to sleep.
    std::int64_t look(std::int64_t now_ns) {
        if (queue_.expire(now_ns)) throw std::logic_error("a timer expired before its deadline");
        return queue_.next_ns();
    }

    // Removes expired timers and arms each again, `later` after it was due. Returns their number.
    std::size_t expire(std::int64_t now_ns, std::int64_t later) {
        std::size_t expired = 0;
        while (TimerNode* const node = queue_.expire(now_ns)) {
            node->deadline_ns += later;
            queue_.arm(*node, now_ns);
            ++expired;
        }
        return expired;
    }

private:
    TimerQueue queue_;
    std::vector<Owner<TimerNode>> others_;
    TimerNode one_;
};

class Multimap {
public:
    explicit Multimap(std::size_t others, std::int64_t delay = 0)
        : others_(others), node_(MultimapTimers::make_node(one_)) {
        const std::vector<std::int64_t> deadlines = random_deadlines(others, delay);
        for (std::size_t i = 0; i < others; ++i) {
            others_[i].timer.deadline_ns = deadlines[i];
            timers_.arm(MultimapTimers::make_node(others_[i].timer), deadlines[i]);
        }
    }

    void arm_and_disarm(std::int64_t deadline_ns) {
        const auto place = timers_.arm(std::move(node_), deadline_ns);
        benchmark::ClobberMemory();
        node_ = timers_.disarm(place);
    }

    std::int64_t look(std::int64_t now_ns) {
        if (!timers_.expire(now_ns).empty()) throw std::logic_error("a timer expired early");
        return timers_.next_ns();
    }

    std::size_t expire(std::int64_t now_ns, std::int64_t later) {
        std::size_t expired = 0;
        for (;;) {
            MultimapTimers::Node node = timers_.expire(now_ns);
            if (node.empty()) return expired;
            const std::int64_t deadline_ns = node.mapped()->deadline_ns += later;
            timers_.arm(std::move(node), deadline_ns);
            ++expired;
        }
    }

private:
    MultimapTimers timers_;
    std::vector<Owner<MultimapTimers::Timer>> others_;
    MultimapTimers::Timer one_;
    MultimapTimers::Node node_;
};

// Google Benchmark calls a benchmark several times, and a million timers take a second: keeps those
// of the last call.
template <class Timers>
Timers& armed_timers(std::size_t others) {
    static std::unique_ptr<Timers> timers;
    static std::size_t number = 0;
    if (!timers || number != others) timers = std::make_unique<Timers>(others);
    number = others;
    return *timers;
}

template <class Timers>
void run_arm(benchmark::State& state, std::size_t others) {
    const std::vector<std::int64_t> deadlines = random_deadlines(kDeadlines);
    Timers& timers = armed_timers<Timers>(others);
    for (const std::int64_t deadline : deadlines)
        timers.arm_and_disarm(deadline);
    std::size_t next = 0;
    for (auto _ : state)
        timers.arm_and_disarm(deadlines[next++ & (kDeadlines - 1)]);
}

// Advances time so that one timer expires at a time, on average, and is armed again.
template <class Timers>
void run_expire(benchmark::State& state, std::size_t others) {
    const std::int64_t step = kLatest / static_cast<std::int64_t>(others);
    Timers timers(others);
    std::int64_t now = kNow;
    // One full round first, to measure the steady state.
    while (now < kNow + kLatest)
        timers.expire(now += step, kLatest);
    std::int64_t left = state.max_iterations;
    while (state.KeepRunningBatch(state.max_iterations)) {
        while (left > 0)
            left -= static_cast<std::int64_t>(timers.expire(now += step, kLatest));
    }
}

// All deadlines are an hour away, and turns a tenth of a microsecond apart.
template <class Timers>
void run_idle_turn(benchmark::State& state, std::size_t others) {
    constexpr std::int64_t kStep = 100;
    Timers timers(others, 3600 * kSecond);
    std::int64_t now = kNow;
    for (auto _ : state)
        benchmark::DoNotOptimize(timers.look(now += kStep));
}

template <class Timers>
void add_timers(const char* contender, const std::string& among, std::size_t others) {
    const auto one = [&](const char* what, void (*run)(benchmark::State&, std::size_t)) {
        add(what + among, contender, Timing::thread,
            [=](benchmark::State& state) { run(state, others); });
    };
    one("arm_disarm", &run_arm<Timers>);
    if (others > 100'000) return;
    one("expire", &run_expire<Timers>);
    one("idle_turn", &run_idle_turn<Timers>);
}

}  // namespace

void add_contenders() {
    for (const std::size_t others : {1, 1000, 100'000, 1'000'000}) {
        const std::string among = "/among" + std::to_string(others);
        add_timers<Wheel>("uaio", among, others);
        add_timers<Multimap>("multimap", among, others);
    }
}

}  // namespace uaio::bench
