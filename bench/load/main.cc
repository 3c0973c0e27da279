// Loads a server on 127.0.0.1:
//
//   load PORT CONNECTIONS REQUEST_FILE RESPONSE_BYTES [close|tls]
//
// With `close` the server ends each connection after its response.
//
// Prints "ready" when the connections are made, then reads commands from standard input and prints
// a line for each:
//
//   closed MILLISECONDS        each connection sends its next request when it has the response;
//                              prints the number of responses and the nanoseconds that they took
//   open RATE MILLISECONDS     requests are due at random times, RATE a second, whatever the server
//                              does; prints their number and the 50th, 99th and 99.9th percentile
//                              of the nanoseconds from then to the response
//
// A request that is due while all connections are busy waits, and its time counts.
#include "bench/load/exchanger.h"
#include "bench/support/descriptors.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::bench {
namespace {

using Clock = Exchanger::Clock;
using std::chrono::nanoseconds;

// A server that does not answer for so long has stopped.
constexpr std::chrono::seconds kPatience(20);

class Load {
public:
    Load(const Exchange& exchange, std::size_t connections, std::string_view kind)
        : due_(connections), exchanger_(make(exchange, connections, kind)) {}

    void run_closed(std::chrono::milliseconds duration) {
        const auto began = Clock::now();
        until_ = began + duration;
        is_open_ = false;
        responses_ = 0;
        for (std::size_t i = 0; i < due_.size(); ++i)
            exchanger_->begin(i);
        drain(until_ + kPatience);
        std::printf("%llu %lld\n", static_cast<unsigned long long>(responses_),
                    static_cast<long long>(nanoseconds(Clock::now() - began).count()));
    }

    void run_open(double rate, std::chrono::milliseconds duration) {
        is_open_ = true;
        latencies_.clear();
        idle_.resize(due_.size());
        for (std::size_t i = 0; i < idle_.size(); ++i)
            idle_[i] = i;
        std::exponential_distribution<double> gap(rate);
        const auto end = Clock::now() + duration;
        auto next = Clock::now();
        while (next < end) {
            for (const auto now = Clock::now(); next <= now && next < end;) {
                start(next);
                next += nanoseconds(static_cast<std::int64_t>(gap(random_) * 1e9));
            }
            exchanger_->turn(next);
            if (Clock::now() > end + kPatience) throw std::runtime_error("the server stopped");
        }
        drain(Clock::now() + kPatience);
        print_latencies();
    }

private:
    std::unique_ptr<Exchanger> make(const Exchange& exchange, std::size_t connections,
                                    std::string_view kind) {
        const auto respond = [this](std::size_t index) { on_response(index); };
        if (kind == "tls") return tls_exchanger(exchange, connections, respond);
        return plain_exchanger(exchange, connections, kind == "close", respond);
    }

    void start(Clock::time_point due) {
        if (idle_.empty()) {
            waiting_.push_back(due);
            return;
        }
        const std::size_t index = idle_.front();
        idle_.pop_front();
        due_[index] = due;
        exchanger_->begin(index);
    }

    void on_response(std::size_t index) {
        const auto now = Clock::now();
        if (!is_open_) {
            ++responses_;
            if (now < until_) exchanger_->begin(index);
            return;
        }
        latencies_.push_back(nanoseconds(now - due_[index]).count());
        idle_.push_back(index);
        if (waiting_.empty()) return;
        const auto due = waiting_.front();
        waiting_.pop_front();
        start(due);
    }

    void drain(Clock::time_point limit) {
        while (exchanger_->active() > 0) {
            exchanger_->turn(limit);
            if (Clock::now() > limit) throw std::runtime_error("the server stopped");
        }
    }

    void print_latencies() {
        std::sort(latencies_.begin(), latencies_.end());
        std::printf("%zu", latencies_.size());
        for (const double part : {0.5, 0.99, 0.999}) {
            const auto place = static_cast<double>(latencies_.size()) * part;
            const std::size_t index =
                std::min(static_cast<std::size_t>(place), latencies_.size() - 1);
            std::printf(" %lld",
                        latencies_.empty() ? 0LL : static_cast<long long>(latencies_[index]));
        }
        std::printf("\n");
    }

    bool is_open_ = false;
    Clock::time_point until_;
    std::uint64_t responses_ = 0;
    std::vector<Clock::time_point> due_;  // of the request on each connection
    std::deque<Clock::time_point> waiting_;
    std::deque<std::size_t> idle_;
    std::vector<std::int64_t> latencies_;
    std::mt19937_64 random_{1};  // the same times for each server
    std::unique_ptr<Exchanger> exchanger_;
};

void run(Load& load, const std::string& line) {
    std::istringstream words(line);
    std::string command;
    double rate = 0;
    std::int64_t duration = 0;
    words >> command;
    if (command == "open") words >> rate;
    if (!(words >> duration) || (command != "open" && command != "closed")) {
        throw std::runtime_error("no such command: " + line);
    }
    if (command == "open") {
        load.run_open(rate, std::chrono::milliseconds(duration));
    } else {
        load.run_closed(std::chrono::milliseconds(duration));
    }
    std::fflush(stdout);
}

int serve(int argc, char** argv) {
    if (argc < 5) throw std::runtime_error("usage: load PORT CONNECTIONS FILE BYTES [close|tls]");
    allow_many_descriptors();
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    std::ifstream file(argv[3], std::ios::binary);
    Exchange exchange;
    exchange.port = static_cast<std::uint16_t>(std::stoul(argv[1]));
    exchange.request.assign(std::istreambuf_iterator<char>(file), {});
    exchange.response = std::stoull(argv[4]);
    Load load(exchange, std::stoull(argv[2]), argc > 5 ? argv[5] : "");
    std::printf("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);)
        run(load, line);
    return 0;
}

}  // namespace
}  // namespace uaio::bench

int main(int argc, char** argv) {
    try {
        return uaio::bench::serve(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "load: %s\n", error.what());
        return 1;
    }
}
