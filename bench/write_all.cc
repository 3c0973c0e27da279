// The throughput of write_all(): iovec lists of 8 entries over tcp on loopback, to a thread on the
// other processor that discards them; in `entriesN`, lists of N entries of 64 bytes. One unit is
// one list. With depth 1 the callback of a write submits the next one; with depth 16 that many are
// queued, which the library may gather. `wait` submits one and waits for it, without a callback, as
// the first program of README.md does: on a thread that does not run the engine; the scheduler
// places both threads, and nng's. In `run_and_wait` the waiting thread runs the engine itself.
// Baselines: a blocking writev loop, a raw SENDMSG loop, and nng.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "bench/peers/nng_writer.h"
#include "bench/peers/writers.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/processor.h"
#include "bench/support/resubmission.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

using Buffers = std::vector<iovec>;

// A depth of 0: the thread submits a write and waits for it, without callbacks.
constexpr unsigned kRunAndWait = 0;

struct Shape {
    std::size_t bytes;
    unsigned depth;
    std::size_t entries = 8;
};

// Equal parts of the memory that every contender shares.
Buffers buffers_of(const Shape& shape) {
    Buffers buffers(shape.entries);
    const std::size_t part = shape.bytes / shape.entries;
    for (std::size_t i = 0; i < shape.entries; ++i)
        buffers[i] = {bytes_of(shape.bytes).data() + i * part, part};
    return buffers;
}

StreamPtr connect(Engine& engine, std::uint16_t port) {
    StreamPtr stream;
    Aio connecting(engine);
    tcp::connect(Endpoint::loopback(port), {}, connecting, stream);
    if (const std::error_code error = connecting.wait()) {
        throw std::system_error(error, "connect");
    }
    return stream;
}

void write_waiting(Engine& engine, http::Connection& connection, const Buffers& buffers,
                   Meter& meter) {
    Aio aio(engine);
    if (aio.set_iov(buffers)) throw std::bad_alloc();
    do {
        connection.write_all(aio);
        if (aio.wait()) throw std::system_error(aio.result(), "write_all");
    } while (meter.count());
}

class UaioWriter {
public:
    UaioWriter(std::uint16_t port, unsigned depth, const Buffers& buffers)
        : connection_(connect(engine_, port)), buffers_(buffers) {
        for (unsigned i = 0; i < depth; ++i)
            writing_.add(buffers_);
    }

    void run(Meter& meter) { writing_.run(meter); }
    void run_waiting(Meter& meter) { write_waiting(engine_, connection_, buffers_, meter); }

    const Engine& engine() const { return engine_; }

private:
    struct WriteAll {
        http::Connection& connection;
        void operator()(Aio& aio) const { connection.write_all(aio); }
    };

    Engine engine_;
    http::Connection connection_;
    const Buffers buffers_;
    Resubmission<WriteAll> writing_{engine_, WriteAll{connection_}};
};

void report(benchmark::State& state, std::size_t bytes, const SideTime& side) {
    side.report(state);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void run_uaio(benchmark::State& state, const Shape& shape) {
    const Listening listening;
    DiscardingReader reader;
    UaioWriter writer(listening.port(), shape.depth, buffers_of(shape));
    reader.start(listening.accept());
    SideTime side(reader.clock());
    Meter meter(state, warm_up(shape.bytes), &side);
    if (shape.depth == kRunAndWait) {
        writer.run_waiting(meter);
    } else {
        writer.run(meter);
    }
    report_engine(state, writer.engine());
    report(state, shape.bytes, side);
}

// Where threads hand work to each other, the measurement includes the scheduler's choice.
class Unpinned {
public:
    Unpinned() { pin_to_processor(Place::either); }
    ~Unpinned() { pin_to_processor(Place::own); }
    Unpinned(const Unpinned&) = delete;
    Unpinned& operator=(const Unpinned&) = delete;
};

void run_uaio_apart(benchmark::State& state, const Shape& shape) {
    const Unpinned unpinned;
    const Listening listening;
    DiscardingReader reader;
    EngineThread io;
    http::Connection connection(connect(io.engine(), listening.port()));
    reader.start(listening.accept());
    SideTime side(reader.clock());
    Meter meter(state, warm_up(shape.bytes), &side);
    write_waiting(io.engine(), connection, buffers_of(shape), meter);
    report_engine(state, io.engine());
    report(state, shape.bytes, side);
}

template <class Writer>
void run_kernel(benchmark::State& state, const Shape& shape) {
    const Listening listening;
    DiscardingReader reader;
    Writer writer(listening.port(), buffers_of(shape));
    reader.start(listening.accept());
    SideTime side(reader.clock());
    Meter meter(state, warm_up(shape.bytes), &side);
    writer.run(meter);
    report(state, shape.bytes, side);
}

#if UAIO_BENCH_NNG
void run_nng(benchmark::State& state, const Shape& shape) {
    const Listening listening;
    DiscardingReader reader;
    NngWriter writer(listening.port(), shape.depth, buffers_of(shape));
    Descriptor accepted = listening.accept();
    writer.set_no_delay(accepted.get());
    reader.start(std::move(accepted));
    SideTime side(reader.clock());
    const auto write = [&writer, depth = shape.depth](std::uint64_t count) {
        if (depth == kRunAndWait) {
            writer.write_waiting(count);
        } else {
            writer.write(count);
        }
    };
    write(warm_up(shape.bytes));
    const auto count = state.max_iterations;
    side.start();
    while (state.KeepRunningBatch(count))
        write(static_cast<std::uint64_t>(count));
    side.stop();
    report(state, shape.bytes, side);
}
#endif

void add_case(const std::string& name, const Shape& shape) {
    const auto compare = [&](const char* contender, Contender run) {
        add(name, contender, Timing::wall, std::move(run));
    };
    compare("uaio", [=](benchmark::State& state) { run_uaio(state, shape); });
    compare("writev", [=](benchmark::State& state) { run_kernel<WritevWriter>(state, shape); });
    if (shape.depth == 1) {
        compare("sendmsg",
                [=](benchmark::State& state) { run_kernel<SendmsgWriter>(state, shape); });
    }
#if UAIO_BENCH_NNG
    if (shape.entries > 8) return;  // the most of nng_aio_set_iov(3)
    compare("nng", [=](benchmark::State& state) { run_nng(state, shape); });
#endif
}

void add_wait(const std::string& name, const Shape& shape) {
    add(name, "uaio", Timing::wall, [=](benchmark::State& state) { run_uaio_apart(state, shape); });
    add(name, "writev", Timing::wall,
        [=](benchmark::State& state) { run_kernel<WritevWriter>(state, shape); });
#if UAIO_BENCH_NNG
    add(name, "nng", Timing::wall, [=](benchmark::State& state) {
        const Unpinned unpinned;
        run_nng(state, shape);
    });
#endif
}

void add_size(const std::string& size, std::size_t bytes) {
    add_case(size + "/depth1", {bytes, 1});
    add_case(size + "/depth16", {bytes, 16});
}

}  // namespace

void add_contenders() {
    add_wait("64B/wait", {64, kRunAndWait});
    add_case("64B/run_and_wait", {64, kRunAndWait});
    add_size("64B", 64);
    add_size("4KiB", std::size_t{4} << 10);
    add_size("64KiB", std::size_t{64} << 10);
    add_size("1MiB", std::size_t{1} << 20);
    add_size("16MiB", std::size_t{16} << 20);
    for (const std::size_t entries : {1, 16, 128, 1024})
        add_case("entries" + std::to_string(entries), {64 * entries, 1, entries});
}

}  // namespace uaio::bench
