// The latency of a task posted to an engine on another thread, which sleeps in the kernel or is
// busy with NOPs, 32 at a time. One unit is one task, measured from the call until the posting
// thread observes its effect. Baseline: a raw liburing loop woken by an eventfd.
#include <uaio/engine_group.h>
#include <uaio/provider.h>

#include "bench/peers/eventfd_loop.h"
#include "bench/support/contest.h"
#include "bench/support/processor.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <liburing.h>

namespace uaio::bench {
namespace {

// Time for a loop to fall asleep before the next task; it takes a few microseconds.
constexpr std::chrono::microseconds kFallAsleep(40);
constexpr std::int64_t kWarmUp = 100;

void spin(std::chrono::nanoseconds duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) {
    }
}

// An engine on the other processor, busy or idle.
class UaioLoop {
public:
    explicit UaioLoop(bool busy) {
        Engine& engine = thread_.engine();
        for (unsigned i = 0; i < (busy ? EventfdLoop::kNops : 0); ++i) {
            nops_.push_back(std::make_unique<Aio>(engine, [this](Aio& aio) {
                if (!ending_.load(std::memory_order_relaxed)) submit(aio);
            }));
        }
        engine.post([] { pin_to_processor(Place::other); });
        for (const std::unique_ptr<Aio>& nop : nops_)
            submit(*nop);
    }
    ~UaioLoop() {
        ending_ = true;
        for (const std::unique_ptr<Aio>& nop : nops_)
            static_cast<void>(nop->wait());
    }
    UaioLoop(const UaioLoop&) = delete;
    UaioLoop& operator=(const UaioLoop&) = delete;

    void post(EventfdLoop::Task task, void* argument) {
        thread_.engine().post([task, argument] { task(argument); });
    }

    // Wake-ups for each post.
    double woken() {
        const EngineStatistics statistics = thread_.engine().statistics();
        return static_cast<double>(statistics.wakes) / static_cast<double>(statistics.posts);
    }

private:
    static void submit(Aio& aio) { Provider::submit(aio.engine(), aio, &start, nullptr); }

    static void start(Aio& aio) noexcept {
        io_uring_prep_nop(&Provider::begin<&on_completion>(aio));
    }

    static Outcome on_completion(Aio&, int, unsigned) noexcept { return Outcome::finished; }

    EngineThread thread_;
    std::atomic<bool> ending_{false};
    std::vector<std::unique_ptr<Aio>> nops_;
};

// The time from post() to its effect.
template <class Loop>
std::chrono::nanoseconds round_trip(Loop& loop, std::atomic<bool>& done) {
    const auto began = Clock::now();
    loop.post([](void* flag) { static_cast<std::atomic<bool>*>(flag)->store(true); }, &done);
    while (!done.load(std::memory_order_acquire)) {
    }
    const auto took = Clock::now() - began;
    done.store(false, std::memory_order_relaxed);
    return took;
}

template <class Loop>
void run_posts(benchmark::State& state, bool busy) {
    Loop loop(busy);
    alignas(64) std::atomic<bool> done = false;
    const auto pause = busy ? std::chrono::microseconds(1) : kFallAsleep;
    for (std::int64_t i = 0; i < kWarmUp; ++i) {
        spin(pause);
        round_trip(loop, done);
    }
    for (auto _ : state) {
        spin(pause);
        state.SetIterationTime(std::chrono::duration<double>(round_trip(loop, done)).count());
    }
    if constexpr (requires { loop.woken(); }) state.counters["woken"] = loop.woken();
}

}  // namespace

void add_contenders() {
    for (const bool busy : {false, true}) {
        const std::string name = busy ? "busy" : "sleeping";
        add(name, "uaio", Timing::manual,
            [busy](benchmark::State& state) { run_posts<UaioLoop>(state, busy); });
        add(name, "eventfd", Timing::manual,
            [busy](benchmark::State& state) { run_posts<EventfdLoop>(state, busy); });
    }
}

}  // namespace uaio::bench
