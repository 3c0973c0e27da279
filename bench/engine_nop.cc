// The engine's cost of an operation: a batch of NOPs in flight, each submitted again when it
// completes, against the same loop in raw liburing. One unit is one NOP.
#include <uaio/engine.h>
#include <uaio/provider.h>

#include "bench/peers/raw_ring.h"
#include "bench/support/contest.h"
#include "bench/support/meter.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <liburing.h>

namespace uaio::bench {
namespace {

constexpr std::uint64_t kWarmUp = 20'000;

// The smallest possible provider.
class Nops {
public:
    Nops(Meter& meter, unsigned batch) : meter_(meter) {
        aios_.reserve(batch);
        for (unsigned i = 0; i < batch; ++i) {
            aios_.push_back(std::make_unique<Aio>(engine_, [this](Aio& aio) { on_done(aio); }));
        }
    }

    void run() {
        for (const std::unique_ptr<Aio>& aio : aios_)
            submit(*aio);
        engine_.run();
    }

private:
    void submit(Aio& aio) { Provider::submit(engine_, aio, &start, this); }

    static void start(Aio& aio) noexcept {
        io_uring_prep_nop(&Provider::begin<&on_completion>(aio));
    }

    static Outcome on_completion(Aio&, int, unsigned) noexcept { return Outcome::finished; }

    void on_done(Aio& aio) {
        if (meter_.count()) {
            submit(aio);
        } else {
            engine_.stop();
        }
    }

    Engine engine_;
    Meter& meter_;
    std::vector<std::unique_ptr<Aio>> aios_;
};

void run_engine(benchmark::State& state, unsigned batch) {
    Meter meter(state, kWarmUp);
    Nops nops(meter, batch);
    nops.run();
}

// One record for each operation, found through user_data, as real programs have.
struct RawNop {
    std::uint64_t done = 0;
};

// inline: gcc 12 otherwise calls it for each NOP.
inline void submit(RawRing& ring, RawNop& nop) {
    io_uring_sqe* const sqe = ring.next();
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data(sqe, &nop);
}

void run_raw(benchmark::State& state, unsigned batch) {
    Meter meter(state, kWarmUp);
    RawRing ring;
    std::vector<RawNop> nops(batch);
    for (RawNop& nop : nops)
        submit(ring, nop);
    const auto handle = [&](const io_uring_cqe& cqe) {
        RawNop& nop = *static_cast<RawNop*>(io_uring_cqe_get_data(&cqe));
        ++nop.done;
        if (!meter.count()) return false;
        submit(ring, nop);
        return true;
    };
    while (ring.turn(handle))
        continue;
}

}  // namespace

void add_contenders() {
    for (const unsigned batch : {1u, 8u, 32u, 128u}) {
        const std::string name = "batch" + std::to_string(batch);
        add(name, "uaio", Timing::thread,
            [batch](benchmark::State& state) { run_engine(state, batch); });
        add(name, "liburing", Timing::thread,
            [batch](benchmark::State& state) { run_raw(state, batch); });
    }
}

}  // namespace uaio::bench
