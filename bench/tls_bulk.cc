// The cost that TLS adds to write_all(): one unit is one write of a given size from one entry.
// `memory` writes over a stream that accepts everything at once, which leaves the encryption and
// the library's own work. `loopback` writes over tcp to a thread on the other processor that
// discards the ciphertext. With depth 16 that many writes are queued and may be gathered. The
// baselines are OpenSSL's own: SSL_write with its output discarded, which is the floor, into
// memory, and to a blocking socket. `file` sends a file of 64 MiB from a server to a client that
// discards the ciphertext, against nginx.
#include <uaio/engine.h>
#include <uaio/provider.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "bench/peers/tls_ends.h"
#include "bench/peers/tls_servers.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/meter.h"
#include "bench/support/processor.h"
#include "bench/support/resubmission.h"
#include "bench/support/side_time.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

// A stream to a server in memory, which accepts and discards every write after the handshake.
class StreamToMemory final : public Stream {
public:
    explicit StreamToMemory(Engine& engine) : engine_(engine) {}
    ~StreamToMemory() override { close(); }

    void read(Aio& aio) override { Provider::submit(engine_, aio, &start_read, this); }
    void read_all(Aio& aio) override { read(aio); }
    void write(Aio& aio) override { Provider::submit(engine_, aio, &start_write, this); }
    void write_all(Aio& aio) override { write(aio); }
    void close() noexcept override {
        if (reading_) Provider::finish(*std::exchange(reading_, nullptr), Errc::closed);
    }
    int native_handle() const noexcept override { return -1; }

private:
    static StreamToMemory& of(Aio& aio) {
        return *static_cast<StreamToMemory*>(Provider::owner(aio));
    }

    static void start_read(Aio& aio) noexcept {
        of(aio).reading_ = &aio;
        Provider::park(aio, [](Aio& over) noexcept {
            of(over).reading_ = nullptr;
            Provider::finish(over, Provider::cancel_reason(over));
        });
        of(aio).serve();
    }

    static void start_write(Aio& aio) noexcept {
        std::size_t size = 0;
        for (const iovec& entry : Provider::cursor(aio).rest()) {
            of(aio).answer_ +=
                of(aio).server_.answer({static_cast<const char*>(entry.iov_base), entry.iov_len});
            size += entry.iov_len;
        }
        Provider::advance(aio, size);
        Provider::finish(aio);
        of(aio).serve();
    }

    void serve() {
        if (!reading_ || answer_.empty()) return;
        Aio& aio = *std::exchange(reading_, nullptr);
        const iovec room = Provider::cursor(aio).rest().front();
        const std::size_t count = std::min(room.iov_len, answer_.size());
        std::memcpy(room.iov_base, answer_.data(), count);
        answer_.erase(0, count);
        Provider::advance(aio, count);
        Provider::finish(aio);
    }

    Engine& engine_;
    TlsServerInMemory server_;
    std::string answer_;
    Aio* reading_ = nullptr;
};

class UaioWriter {
public:
    // In memory, or over tcp to `port`.
    UaioWriter(std::optional<std::uint16_t> port, unsigned depth, std::span<char> bytes)
        : engine_(port ? Engine() : Engine(no_kernel_)) {
        stream_ = secured(port ? connected(*port) : std::make_unique<StreamToMemory>(engine_));
        const iovec buffer{bytes.data(), bytes.size()};
        for (unsigned i = 0; i < depth; ++i)
            writing_.add({&buffer, 1});
    }

    void run(Meter& meter) { writing_.run(meter); }

    const Engine& engine() const { return engine_; }

private:
    StreamPtr connected(std::uint16_t port) {
        StreamPtr stream;
        Aio connecting(engine_);
        tcp::connect(Endpoint::loopback(port), {}, connecting, stream);
        if (connecting.wait()) throw std::system_error(connecting.result(), "connect");
        return stream;
    }

    StreamPtr secured(StreamPtr below) {
        const tls::Context context(tls::ContextOptions{.verify_peer = false});
        StreamPtr stream;
        Aio connecting(engine_);
        tls::connect(context, std::move(below), {}, connecting, stream);
        if (connecting.wait()) throw std::system_error(connecting.result(), "handshake");
        return stream;
    }

    struct WriteAll {
        StreamPtr& stream;
        void operator()(Aio& aio) const { stream->write_all(aio); }
    };

    SimKernel no_kernel_{1};  // the engine submits nothing
    Engine engine_;
    StreamPtr stream_;
    Resubmission<WriteAll> writing_{engine_, WriteAll{stream_}};
};

void report(benchmark::State& state, std::size_t size) {
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

void run_uaio_in_memory(benchmark::State& state, std::size_t size, unsigned depth) {
    UaioWriter writer(std::nullopt, depth, bytes_of(size));
    Meter meter(state, warm_up(size));
    writer.run(meter);
    report_engine(state, writer.engine());
    report(state, size);
}

void run_ssl_in_memory(benchmark::State& state, std::size_t size, SslWriter::Below below) {
    SslWriter writer(below);
    Meter meter(state, warm_up(size));
    writer.run(meter, bytes_of(size));
    report(state, size);
}

void run_uaio(benchmark::State& state, std::size_t size, unsigned depth) {
    TlsSink sink;
    UaioWriter writer(sink.port(), depth, bytes_of(size));
    SideTime side(sink.start());
    Meter meter(state, warm_up(size), &side);
    writer.run(meter);
    report_engine(state, writer.engine());
    side.report(state);
    report(state, size);
}

void run_ssl(benchmark::State& state, std::size_t size) {
    TlsSink sink;
    SslWriter writer(sink.port());
    SideTime side(sink.start());
    Meter meter(state, warm_up(size), &side);
    writer.run(meter, bytes_of(size));
    side.report(state);
    report(state, size);
}

// Excludes the handshake. The server sends past the last counted byte, by at most a thousandth of
// the total.
void run_server(benchmark::State& state, const std::string& server) {
    const auto process = start_tls_server(server);
    pin_to_processor(Place::other);
    TlsClient(process->port()).download();
    std::int64_t cpu_ns = 0;
    for ([[maybe_unused]] const auto iteration : state) {
        TlsClient client(process->port());
        const std::int64_t before = process->cpu_ns();
        const auto began = std::chrono::steady_clock::now();
        client.download();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        cpu_ns += process->cpu_ns() - before;
        state.SetIterationTime(took.count());
    }
    state.counters["side_cpu_ns"] =
        benchmark::Counter(static_cast<double>(cpu_ns), benchmark::Counter::kAvgIterations);
    pin_to_processor(Place::own);
    report(state, kServedBytes);
}

void add_case(const std::string& name, std::size_t size, unsigned depth) {
    const std::string memory = "memory/" + name;
    const std::string loopback = "loopback/" + name;
    using Below = SslWriter::Below;
    add(memory, "uaio", Timing::thread,
        [=](benchmark::State& state) { run_uaio_in_memory(state, size, depth); });
    add(memory, "ssl_write", Timing::thread,
        [=](benchmark::State& state) { run_ssl_in_memory(state, size, Below::nothing); });
    add(memory, "memory_bio", Timing::thread,
        [=](benchmark::State& state) { run_ssl_in_memory(state, size, Below::memory); });
    add(loopback, "uaio", Timing::wall,
        [=](benchmark::State& state) { run_uaio(state, size, depth); });
    add(loopback, "openssl", Timing::wall, [=](benchmark::State& state) { run_ssl(state, size); });
}

}  // namespace

void add_contenders() {
    add_case("64B/depth1", 64, 1);
    add_case("64B/depth16", 64, 16);
    add_case("16KiB/depth1", std::size_t{16} << 10, 1);
    add_case("64KiB/depth1", std::size_t{64} << 10, 1);
    add_case("1MiB/depth1", kLargest, 1);
    for (const char* const server : {"uaio", "nginx"}) {
        add("file/64MiB", server, Timing::manual,
            [=](benchmark::State& state) { run_server(state, server); });
    }
}

}  // namespace uaio::bench
