// The cost of a small message on a stream: 64 bytes travel back and forth on 1, 64 or 512 tcp
// connections on loopback. One unit is one round trip. In `one_thread` the contender runs both
// ends; in `two_threads` it is the server, and the client is an epoll loop on the other processor,
// the same for all. Baselines: the same in raw liburing and in epoll.
#include <uaio/engine.h>
#include <uaio/stream.h>
#include <uaio/tcp.h>

#include "bench/peers/echoes.h"
#include "bench/support/contest.h"
#include "bench/support/engine_report.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "bench/support/processor.h"
#include "bench/support/side_time.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace uaio::bench {
namespace {

std::uint64_t warm_up(unsigned connections) { return 2000 + 20 * connections; }

void send_first_message(const Descriptor& socket) {
    const Message message{};
    if (::send(socket.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) {
        throw std::system_error(errno, std::system_category(), "send");
    }
}

// The client of `two_threads`; ends when the server has closed every connection.
class EpollClient {
public:
    EpollClient() = default;
    ~EpollClient() {
        if (thread_.joinable()) thread_.join();
    }
    EpollClient(const EpollClient&) = delete;
    EpollClient& operator=(const EpollClient&) = delete;

    void connect(std::uint16_t port, unsigned connections) {
        for (unsigned i = 0; i < connections; ++i)
            ends_.emplace_back(connect_to(port), false);
    }

    void start() {
        thread_ = std::thread([this] {
            pin_to_processor(Place::other);
            for (const EchoEnd& end : ends_)
                send_first_message(end.socket);
            echo_by_epoll(ends_, nullptr);
        });
    }

    clockid_t clock() {
        clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
        pthread_getcpuclockid(thread_.native_handle(), &clock);
        return clock;
    }

private:
    EchoEnds ends_;
    std::thread thread_;
};

// Streams that echo every message.
class UaioEcho {
public:
    UaioEcho() : listener_(engine_, Endpoint::loopback(0)) {}

    std::uint16_t port() const { return listener_.local_endpoint().port(); }

    // Accepts a connection that the client has made.
    void accept() { add(accepted(), true); }

    // Makes a connection and keeps both ends.
    void make_pair() {
        StreamPtr stream;
        Aio connecting(engine_);
        tcp::connect(Endpoint::loopback(port()), {}, connecting, stream);
        check(connecting.wait(), "connect");
        add(accepted(), true);
        add(std::move(stream), false);
    }

    void run(Meter& meter) {
        meter_ = &meter;
        for (const std::unique_ptr<End>& end : ends_) {
            end->stream->read(end->reader);
            // With both ends here, the uncounted end sends the first message.
            if (!end->counted) end->stream->write_all(end->writer);
        }
        engine_.run();
        check(error_, "a message arrived in pieces, or its connection ended");
        if (engine_.statistics().misuse != 0) throw std::runtime_error("an Aio was misused");
    }

    const Engine& engine() const { return engine_; }

private:
    struct End {
        End(UaioEcho& echo, StreamPtr connected, bool is_counted)
            : stream(std::move(connected)),
              counted(is_counted),
              reader(echo.engine_, [this, &echo](Aio&) { echo.on_message(*this); }),
              writer(echo.engine_) {
            reader.set_iov(message.data(), message.size());
            writer.set_iov(message.data(), message.size());
        }

        StreamPtr stream;
        const bool counted;
        Message message{};
        Aio reader;
        Aio writer;
    };

    static void check(std::error_code error, const char* what) {
        if (error) throw std::system_error(error, what);
    }

    StreamPtr accepted() {
        StreamPtr stream;
        Aio accepting(engine_);
        listener_.accept(accepting, stream);
        check(accepting.wait(), "accept");
        return stream;
    }

    void add(StreamPtr stream, bool counted) {
        ends_.push_back(std::make_unique<End>(*this, std::move(stream), counted));
    }

    void on_message(End& end) {
        if (stopping_) return;
        if (end.reader.count() != sizeof(Message)) {
            error_ = end.reader.result() ? end.reader.result() : Errc::truncated;
            return stop();
        }
        if (end.counted && !meter_->count()) return stop();
        end.stream->write_all(end.writer);
        end.stream->read(end.reader);
    }

    void stop() {
        stopping_ = true;
        engine_.stop();
    }

    Engine engine_;
    tcp::Listener listener_;
    std::vector<std::unique_ptr<End>> ends_;
    Meter* meter_ = nullptr;
    std::error_code error_;
    bool stopping_ = false;
};

void one_thread_uaio(benchmark::State& state, unsigned connections) {
    UaioEcho echo;
    for (unsigned i = 0; i < connections; ++i)
        echo.make_pair();
    Meter meter(state, warm_up(connections));
    echo.run(meter);
    report_engine(state, echo.engine());
}

void two_threads_uaio(benchmark::State& state, unsigned connections) {
    EpollClient client;
    UaioEcho echo;
    client.connect(echo.port(), connections);
    for (unsigned i = 0; i < connections; ++i)
        echo.accept();
    client.start();
    SideTime side(client.clock());
    Meter meter(state, warm_up(connections), &side);
    echo.run(meter);
    report_engine(state, echo.engine());
    side.report(state);
}

using KernelEcho = void (*)(EchoEnds& ends, Meter& meter);

void one_thread_kernel(benchmark::State& state, unsigned connections, KernelEcho echo) {
    const Listening listening;
    EchoEnds ends;
    for (unsigned i = 0; i < connections; ++i) {
        ends.emplace_back(connect_to(listening.port()), false);
        ends.emplace_back(listening.accept(), true);
        send_first_message(ends.back().socket);
    }
    Meter meter(state, warm_up(connections));
    echo(ends, meter);
}

void two_threads_kernel(benchmark::State& state, unsigned connections, KernelEcho echo) {
    const Listening listening;
    EpollClient client;
    EchoEnds ends;
    client.connect(listening.port(), connections);
    for (unsigned i = 0; i < connections; ++i)
        ends.emplace_back(listening.accept(), true);
    client.start();
    SideTime side(client.clock());
    Meter meter(state, warm_up(connections), &side);
    echo(ends, meter);
    side.report(state);
}

void echo_by_epoll_loop(EchoEnds& ends, Meter& meter) { echo_by_epoll(ends, &meter); }

// Both ends of 512 connections and the other descriptors of a process.
void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void add_contenders() {
    allow_many_descriptors();
    for (const unsigned connections : {1u, 64u, 512u}) {
        const std::string count = std::to_string(connections);
        add("one_thread/" + count, "uaio", Timing::thread,
            [=](benchmark::State& state) { one_thread_uaio(state, connections); });
        add("two_threads/" + count, "uaio", Timing::wall,
            [=](benchmark::State& state) { two_threads_uaio(state, connections); });
        const auto add_kernel = [&](const char* contender, KernelEcho echo) {
            add("one_thread/" + count, contender, Timing::thread,
                [=](benchmark::State& state) { one_thread_kernel(state, connections, echo); });
            add("two_threads/" + count, contender, Timing::wall,
                [=](benchmark::State& state) { two_threads_kernel(state, connections, echo); });
        };
        add_kernel("liburing", &echo_by_liburing);
        add_kernel("epoll", &echo_by_epoll_loop);
    }
}

}  // namespace uaio::bench
