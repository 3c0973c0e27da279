// What write_all() moves: vectors of 8 entries over tcp on the loopback, to a thread on the other
// processor that throws everything away. One unit is one vector. With depth 1 the next write is
// submitted by the callback of the one before; with depth 16 as many are queued, which the library
// may send together; "wait" submits one and waits for it, without a callback. Baselines: a blocking
// writev loop, a raw SENDMSG loop, and nng.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "bench/peers/nng_writer.h"
#include "bench/peers/writers.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/resubmission.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

constexpr std::size_t kEntries = 8;
using Vector = std::array<iovec, kEntries>;

// Eight equal parts of memory that is the same for every contender.
Vector vector_of(std::size_t bytes) {
    Vector vector;
    const std::size_t part = bytes / kEntries;
    for (std::size_t i = 0; i < kEntries; ++i)
        vector[i] = {bytes_of(bytes).data() + i * part, part};
    return vector;
}

class UaioWriter {
public:
    UaioWriter(std::uint16_t port, unsigned depth, const Vector& vector)
        : connection_(connect(engine_, port)), vector_(vector) {
        for (unsigned i = 0; i < depth; ++i)
            writing_.add(vector_);
    }

    void run(Meter& meter) { writing_.run(meter); }

    void run_waiting(Meter& meter) {
        Aio aio(engine_);
        aio.set_iov(vector_);
        do {
            connection_.write_all(aio);
            if (aio.wait()) throw std::system_error(aio.result(), "write_all");
        } while (meter.count());
    }

    const Engine& engine() const { return engine_; }

private:
    static StreamPtr connect(Engine& engine, std::uint16_t port) {
        StreamPtr stream;
        Aio connecting(engine);
        tcp::connect(Endpoint::loopback(port), {}, connecting, stream);
        if (const std::error_code error = connecting.wait()) {
            throw std::system_error(error, "connect");
        }
        return stream;
    }

    struct WriteAll {
        http::Connection& connection;
        void operator()(Aio& aio) const { connection.write_all(aio); }
    };

    Engine engine_;
    http::Connection connection_;
    const Vector vector_;
    Resubmission<WriteAll> writing_{engine_, WriteAll{connection_}};
};

void report(benchmark::State& state, std::size_t bytes, const SideTime& side) {
    side.report(state);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

// How the next write comes about: `depth` chains of callbacks, or a wait for the one before.
constexpr unsigned kWait = 0;

void run_uaio(benchmark::State& state, std::size_t bytes, unsigned depth) {
    const Listening listening;
    DiscardingReader reader;
    UaioWriter writer(listening.port(), depth, vector_of(bytes));
    reader.start(listening.accept());
    SideTime side(reader.clock());
    Meter meter(state, warm_up(bytes), &side);
    if (depth == kWait) {
        writer.run_waiting(meter);
    } else {
        writer.run(meter);
    }
    report_engine(state, writer.engine());
    report(state, bytes, side);
}

template <class Writer>
void run_kernel(benchmark::State& state, std::size_t bytes) {
    const Listening listening;
    DiscardingReader reader;
    Writer writer(listening.port(), vector_of(bytes));
    reader.start(listening.accept());
    SideTime side(reader.clock());
    Meter meter(state, warm_up(bytes), &side);
    writer.run(meter);
    report(state, bytes, side);
}

#if UAIO_BENCH_NNG
void run_nng(benchmark::State& state, std::size_t bytes, unsigned depth) {
    const Listening listening;
    DiscardingReader reader;
    NngWriter writer(listening.port(), depth, vector_of(bytes));
    Descriptor accepted = listening.accept();
    writer.set_no_delay(accepted.get());
    reader.start(std::move(accepted));
    SideTime side(reader.clock());
    const auto write = [&writer, depth](std::uint64_t count) {
        if (depth == kWait) {
            writer.write_waiting(count);
        } else {
            writer.write(count);
        }
    };
    write(warm_up(bytes));
    const auto count = state.max_iterations;
    side.start();
    while (state.KeepRunningBatch(count))
        write(static_cast<std::uint64_t>(count));
    side.stop();
    report(state, bytes, side);
}
#endif

void add_case(const std::string& name, std::size_t bytes, unsigned depth) {
    const auto compare = [&](const char* contender, Contender run) {
        add(name, contender, Timing::wall, std::move(run));
    };
    compare("uaio", [=](benchmark::State& state) { run_uaio(state, bytes, depth); });
    compare("writev", [=](benchmark::State& state) { run_kernel<WritevWriter>(state, bytes); });
    if (depth == 1) {
        compare("sendmsg",
                [=](benchmark::State& state) { run_kernel<SendmsgWriter>(state, bytes); });
    }
#if UAIO_BENCH_NNG
    compare("nng", [=](benchmark::State& state) { run_nng(state, bytes, depth); });
#endif
}

void add_size(const std::string& size, std::size_t bytes) {
    add_case(size + "/depth1", bytes, 1);
    add_case(size + "/depth16", bytes, 16);
}

}  // namespace

void add_contenders() {
    add_case("64B/wait", 64, kWait);
    add_size("64B", 64);
    add_size("4KiB", std::size_t{4} << 10);
    add_size("64KiB", std::size_t{64} << 10);
    add_size("1MiB", std::size_t{1} << 20);
    add_size("16MiB", std::size_t{16} << 20);
}

}  // namespace uaio::bench
