// Writes of one size, 16 at a time, with each value of StreamOptions::zero_copy, to a host on a tun
// device, where the kernel really sends without a copy, and over the loopback, where it cannot. Hot
// writes send the same bytes again, which stay in the processor's cache; cold ones walk through
// memory that is larger than any cache. `registered` writes from Engine::buffers(), beside the same
// writes from other memory and beside a raw SEND_ZC loop with registered buffers.
#include <uaio/buffers.h>
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include "bench/peers/raw_ring.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/resubmission.h"
#include "bench/support/tun_network.h"
#include "bench/support/unavailable.h"

#include <fcntl.h>
#include <sys/socket.h>
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
    // Pieces of one memory, which all contenders share.
    Bytes(Source source, std::size_t size) : size_(size) {
        static std::vector<char> memory = make_pool();
        const std::size_t total = source == Source::hot ? size : kColdBytes;
        for (std::size_t at = 0; at + size <= total; at += size)
            pieces_.push_back(memory.data() + at);
    }
    // Pieces of registered memory.
    Bytes(Engine& engine, std::size_t size) : size_(size) {
        for (std::size_t total = 0; total < kColdBytes; total += size) {
            buffers_.push_back(engine.buffers().take(size));
            if (!buffers_.back() || !engine.buffers().is_registered(buffers_.back()))
                throw Unavailable("no memory can be registered");
            pieces_.push_back(reinterpret_cast<char*>(buffers_.back().data()));
        }
    }

    char* next() noexcept {
        if (at_ == pieces_.size()) at_ = 0;
        return pieces_[at_++];
    }
    std::size_t size() const noexcept { return size_; }

private:
    std::size_t size_;
    std::vector<Buffer> buffers_;
    std::vector<char*> pieces_;
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
        : engine_(engine), stream_(std::move(stream)), bytes_(std::move(bytes)) {
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

void run_registered(benchmark::State& state, std::size_t size) {
    enter_tun_network();
    Engine engine;
    Writer writer(engine, connect(engine, host_in_tun_network(), ZeroCopy::automatic),
                  Bytes(engine, size));
    Meter meter(state, warm_up(size));
    writer.run(meter);
    report(state, engine, size);
}

// A raw loop that sends registered memory: kDepth buffers, each sent again after its notification,
// with one send at a time in the kernel, or the bytes of two could interleave.
class RawWriter {
public:
    explicit RawWriter(std::size_t size) : size_(size), memory_(kColdBytes, 'u') {
        constexpr std::size_t kMost = std::size_t{1} << 30;  // of one registered buffer
        static_assert(kColdBytes <= kMost);
        const iovec all{memory_.data(), memory_.size()};
        if (io_uring_register_buffers(ring_.get(), &all, 1) < 0)
            throw Unavailable("no memory can be registered");
        const Endpoint host = host_in_tun_network();
        if (::connect(socket_.get(), host.address(), host.size()) < 0)
            throw std::system_error(errno, std::system_category(), "connect");
        set_no_delay(socket_.get());
    }

    void run(Meter& meter) {
        send();
        while (left_ > 0) {
            ring_.turn([&](const io_uring_cqe& cqe) {
                handle(cqe, meter);
                return left_ > 0;
            });
        }
    }

private:
    void handle(const io_uring_cqe& cqe, Meter& meter) {
        if (!(cqe.flags & IORING_CQE_F_NOTIF)) {
            if (cqe.res != static_cast<int>(size_))
                throw std::system_error(-cqe.res, std::system_category(), "SEND_ZC");
            sending_ = false;
        } else if (meter.count()) {
            ++ready_;
        } else {
            --left_;
        }
        if (!sending_ && ready_ > 0) send();
    }

    void send() {
        --ready_;
        sending_ = true;
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_send_zc(sqe, socket_.get(), memory_.data() + at_, size_,
                              MSG_WAITALL | MSG_NOSIGNAL, 0);
        sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
        at_ = at_ + 2 * size_ <= memory_.size() ? at_ + size_ : 0;
    }

    const std::size_t size_;
    std::vector<char> memory_;
    RawRing ring_;
    const Descriptor socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::size_t at_ = 0;
    unsigned left_ = kDepth;   // buffers that are not done
    unsigned ready_ = kDepth;  // of those, the ones that wait to be sent
    bool sending_ = false;
};

void run_raw(benchmark::State& state, std::size_t size) {
    enter_tun_network();
    RawWriter writer(size);
    Meter meter(state, warm_up(size));
    writer.run(meter);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
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
        std::string label = "tcp/" + name;
        label += source == Source::hot ? "/hot/automatic" : "/cold/automatic";
        const auto compare = [&](const char* contender, ZeroCopy zero_copy) {
            add(label, contender, Timing::thread,
                [=](benchmark::State& state) { run_tun(state, zero_copy, source, size); });
        };
        compare("uaio", ZeroCopy::automatic);
        compare("off", ZeroCopy::off);
        compare("on", ZeroCopy::on);
    }
    const std::string registered = "tcp/" + name + "/cold/registered";
    add(registered, "uaio", Timing::thread,
        [=](benchmark::State& state) { run_registered(state, size); });
    add(registered, "unregistered", Timing::thread,
        [=](benchmark::State& state) { run_tun(state, ZeroCopy::automatic, Source::cold, size); });
    add(registered, "raw", Timing::thread, [=](benchmark::State& state) { run_raw(state, size); });
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
