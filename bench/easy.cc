// The cost of a send of easy::Connection: one unit sends a number of bytes over tcp on loopback to
// a thread on the other processor that discards them. `try`: try_send(), and a wait for room when
// there is none. `queued16`: 16 Aios queued with send_all(), each submitted again by its callback;
// they are sent together. The baseline of both is curl_easy_send(3), which has no queue.
#include <uaio/easy.h>
#include <uaio/engine.h>

#include "bench/peers/curl_sender.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/resubmission.h"

#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

constexpr unsigned kQueued = 16;

class UaioSender {
public:
    explicit UaioSender(std::uint16_t port) : connection_(engine_), waiting_(engine_) {
        const std::string url = "tcp://127.0.0.1:" + std::to_string(port);
        connection_.connect(url, {.proxy = ""}, waiting_);
        check(waiting_.wait(), "connect");
    }

    void run_trying(Meter& meter, std::span<const char> bytes) {
        do {
            for (auto rest = std::as_bytes(bytes); !rest.empty();) {
                const Transferred result = connection_.try_send(rest);
                rest = rest.subspan(result.count);
                if (result.error) wait_for_room(result.error);
            }
        } while (meter.count());
    }

    void run_queued(Meter& meter, std::span<char> bytes) {
        Resubmission sending(engine_, [this](Aio& aio) { connection_.send_all(aio); });
        const iovec buffer{bytes.data(), bytes.size()};
        for (unsigned i = 0; i < kQueued; ++i)
            sending.add({&buffer, 1});
        sending.run(meter);
        connection_.close();  // completes the queued sends
    }

    const Engine& engine() const { return engine_; }

private:
    static void check(std::error_code error, const char* call) {
        if (error) throw std::system_error(error, call);
    }

    void wait_for_room(std::error_code error) {
        if (error != Errc::operation_would_block) check(error, "try_send");
        connection_.wait_for(Direction::send, waiting_);
        check(waiting_.wait(), "wait_for");
    }

    Engine engine_;
    easy::Connection connection_;
    Aio waiting_;
};

// Runs `run` with a new sender and a new reader.
template <class Sender, class Run>
Contender contender(std::size_t size, Run run) {
    return [=](benchmark::State& state) {
        const Listening listening;
        DiscardingReader reader;
        Sender sender(listening.port());
        reader.start(listening.accept());
        SideTime side(reader.clock());
        Meter meter(state, warm_up(size), &side);
        run(sender, meter, bytes_of(size));
        if constexpr (std::is_same_v<Sender, UaioSender>) report_engine(state, sender.engine());
        side.report(state);
        state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
    };
}

template <class Run>
void add_case(const std::string& name, std::size_t size, Run run) {
    add(name, "uaio", Timing::wall, contender<UaioSender>(size, run));
#if UAIO_BENCH_CURL
    add(name, "curl", Timing::wall,
        contender<CurlSender>(
            size, [](CurlSender& sender, Meter& meter, auto bytes) { sender.run(meter, bytes); }));
#endif
}

void add_size(const std::string& name, std::size_t size) {
    add_case(name + "/try", size,
             [](UaioSender& sender, Meter& meter, auto bytes) { sender.run_trying(meter, bytes); });
    add_case(name + "/queued16", size,
             [](UaioSender& sender, Meter& meter, auto bytes) { sender.run_queued(meter, bytes); });
}

}  // namespace

void add_contenders() {
    add_size("64B", 64);
    add_size("16KiB", std::size_t{16} << 10);
}

}  // namespace uaio::bench
