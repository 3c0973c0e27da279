// The works of the engine alone: NOPs in flight, tasks that it posts to itself, and timers.
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"
#include "bench/peers/raw_ring.h"
#include "engine/timer_queue.h"

#include <memory>
#include <stdexcept>
#include <vector>

#include <liburing.h>

namespace uaio::bench {
namespace {

constexpr unsigned kInFlight = 32;

// Each NOP is submitted again by its callback.
class Nops {
public:
    explicit Nops(std::uint64_t count) : left_(count) {
        for (unsigned i = 0; i < kInFlight; ++i)
            aios_.push_back(std::make_unique<Aio>(engine_, [this](Aio& aio) { on_done(aio); }));
    }

    void run() {
        for (const std::unique_ptr<Aio>& aio : aios_)
            submit_nop(engine_, *aio);
        engine_.run();
    }

private:
    void on_done(Aio& aio) {
        if (--left_ > 0) return submit_nop(engine_, aio);
        engine_.stop();
    }

    Engine engine_{on_io_uring()};
    std::uint64_t left_;
    std::vector<std::unique_ptr<Aio>> aios_;
};

// A task that posts itself again.
struct Repeated {
    Engine& engine;
    std::uint64_t& left;

    void operator()() const {
        if (left > 0 && --left > 0) {
            engine.post(*this);
        } else {
            engine.stop();
        }
    }
};

}  // namespace

void run_nops(Control&, std::uint64_t count) { Nops(count).run(); }

void run_nops_floor(Control&, std::uint64_t count) {
    RawRing ring;
    // One record an operation, found by user_data, as programs have.
    std::vector<std::uint64_t> done(kInFlight);
    const auto submit = [&ring](std::uint64_t& record) {
        io_uring_sqe* const sqe = ring.next();
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data(sqe, &record);
    };
    for (std::uint64_t& record : done)
        submit(record);
    const auto handle = [&](const io_uring_cqe& cqe) {
        std::uint64_t& record = *static_cast<std::uint64_t*>(io_uring_cqe_get_data(&cqe));
        ++record;
        if (--count == 0) return false;
        submit(record);
        return true;
    };
    while (ring.turn(handle))
        continue;
}

void run_posts(Control&, std::uint64_t count) {
    Engine engine(on_io_uring());
    for (unsigned i = 0; i < kInFlight; ++i)
        engine.post(Repeated{engine, count});
    engine.run();
}

// Arms and disarms one timer among a thousand, at deadlines of up to a minute, as an operation with
// a timeout does.
void run_timers(Control&, std::uint64_t count) {
    constexpr std::size_t kOthers = 1000;
    constexpr std::int64_t kNow = 1'000'000'000'000;
    std::uint64_t random = 88172645463325252;
    const auto deadline = [&random] {
        random ^= random << 13;  // xorshift64
        random ^= random >> 7;
        random ^= random << 17;
        return kNow + 1'000'000 + static_cast<std::int64_t>(random % 60'000'000'000);
    };
    TimerQueue queue;
    std::vector<TimerNode> others(kOthers);
    for (TimerNode& node : others) {
        node.deadline_ns = deadline();
        queue.arm(node, kNow);
    }
    TimerNode node;
    for (; count > 0; --count) {
        node.deadline_ns = deadline();
        queue.arm(node, kNow);
        queue.disarm(node);
    }
    if (queue.armed() != kOthers) throw std::logic_error("a timer was lost");
    queue.forget_all();
}

}  // namespace uaio::bench
