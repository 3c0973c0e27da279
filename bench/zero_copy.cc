// Writes of one size, 16 at a time, with each value of StreamOptions::zero_copy, to a host on a tun
// device, where the kernel really sends without a copy, and over the loopback, where it cannot. Hot
// writes send the same bytes again, which stay in the processor's cache; cold ones walk through
// memory that is larger than any cache.
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/resubmission.h"
#include "bench/support/tun_network.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace uaio::bench {
namespace {

constexpr unsigned kDepth = 16;
constexpr std::size_t kColdBytes = std::size_t{128} << 20;

enum class Source { hot, cold };

// Returns memory that the kernel has read once: its first access to a page of a virtual machine
// takes microseconds.
std::vector<char> make_pool() {
    std::vector<char> pool(kColdBytes, 'u');
    const Descriptor sink(::open("/dev/shm", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    for (std::size_t at = 0; at < pool.size(); at += kPiece) {
        if (::pwrite(sink.get(), pool.data() + at, kPiece, 0) < 0)
            throw std::system_error(errno, std::system_category(), "/dev/shm");
    }
    return pool;
}

// The bytes of each write in turn.
class Bytes {
public:
    Bytes(Source source, std::size_t size)
        : size_(size), total_(source == Source::hot ? size : kColdBytes) {
        static std::vector<char> memory = make_pool();
        begin_ = memory.data();
    }
    char* next() noexcept {
        char* const result = begin_ + at_;
        at_ += size_;
        if (at_ + size_ > total_) at_ = 0;
        return result;
    }
    std::size_t size() const noexcept { return size_; }

private:
    const std::size_t size_;
    const std::size_t total_;
    char* begin_ = nullptr;
    std::size_t at_ = 0;
};

StreamPtr connect(Engine& engine, const Endpoint& to, ZeroCopy zero_copy) {
    StreamPtr stream;
    Aio connecting(engine);
    tcp::ConnectOptions options;
    options.stream.zero_copy = zero_copy;
    tcp::connect(to, options, connecting, stream);
    if (const std::error_code error = connecting.wait()) throw std::system_error(error, "connect");
    return stream;
}

// Keeps kDepth writes under way.
class Writer {
public:
    Writer(Engine& engine, StreamPtr stream, Bytes bytes)
        : engine_(engine), stream_(std::move(stream)), bytes_(bytes) {
        for (unsigned i = 0; i < kDepth; ++i)
            aios_.push_back(std::make_unique<Aio>(engine_, [this](Aio& aio) { on_done(aio); }));
    }

    void run(Meter& meter) {
        meter_ = &meter;
        for (const std::unique_ptr<Aio>& aio : aios_)
            write(*aio);
        while (left_ > 0)
            engine_.run_once(kNoTimeout);
        if (error_) throw std::system_error(error_, "write_all");
    }

private:
    void write(Aio& aio) {
        aio.set_iov(bytes_.next(), bytes_.size());
        ++left_;
        stream_->write_all(aio);
    }
    void on_done(Aio& aio) {
        --left_;
        if (aio.result()) error_ = aio.result();
        if (!error_ && meter_->count()) write(aio);
    }

    Engine& engine_;
    const StreamPtr stream_;
    Bytes bytes_;
    Meter* meter_ = nullptr;
    unsigned left_ = 0;
    std::error_code error_;
    std::vector<std::unique_ptr<Aio>> aios_;
};

void report(benchmark::State& state, const Engine& engine, std::size_t size) {
    report_engine(state, engine);
    const EngineStatistics statistics = engine.statistics();
    const auto rate = [&](std::uint64_t count) {
        return static_cast<double>(count) / static_cast<double>(statistics.operations);
    };
    state.counters["zero_copy"] = rate(statistics.zero_copy_sends);
    state.counters["copied"] = rate(statistics.zero_copy_copied);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

void run_tun(benchmark::State& state, ZeroCopy zero_copy, Source source, std::size_t size) {
    enter_tun_network();
    Engine engine;
    Writer writer(engine, connect(engine, host_in_tun_network(), zero_copy), Bytes(source, size));
    Meter meter(state, warm_up(size));
    writer.run(meter);
    report(state, engine, size);
}

void run_loopback(benchmark::State& state, ZeroCopy zero_copy, std::size_t size) {
    const Listening listening;
    DiscardingReader reader;
    Engine engine;
    StreamPtr stream = connect(engine, Endpoint::loopback(listening.port()), zero_copy);
    reader.start(listening.accept());
    Writer writer(engine, std::move(stream), Bytes(Source::hot, size));
    Meter meter(state, warm_up(size));
    writer.run(meter);
    report(state, engine, size);
}

void add_size(const std::string& name, std::size_t size) {
    for (const Source source : {Source::hot, Source::cold}) {
        const std::string temperature = source == Source::hot ? "hot" : "cold";
        const std::string label = "tcp/" + name + "/" + temperature + "/automatic";
        const auto compare = [&](const char* contender, ZeroCopy zero_copy) {
            add(label, contender, Timing::thread,
                [=](benchmark::State& state) { run_tun(state, zero_copy, source, size); });
        };
        compare("uaio", ZeroCopy::automatic);
        compare("off", ZeroCopy::off);
        compare("on", ZeroCopy::on);
    }
    const auto compare = [&](const char* contender, ZeroCopy zero_copy) {
        add("loopback/" + name + "/hot/automatic", contender, Timing::thread,
            [=](benchmark::State& state) { run_loopback(state, zero_copy, size); });
    };
    compare("uaio", ZeroCopy::automatic);
    compare("off", ZeroCopy::off);
}

}  // namespace

void add_contenders() {
    add_size("4KiB", std::size_t{4} << 10);
    add_size("16KiB", std::size_t{16} << 10);
    add_size("32KiB", std::size_t{32} << 10);
    add_size("64KiB", std::size_t{64} << 10);
    add_size("256KiB", std::size_t{256} << 10);
    add_size("1MiB", std::size_t{1} << 20);
}

}  // namespace uaio::bench
