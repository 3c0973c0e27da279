// The faults of the simulated kernel: each occurs, stays within a real kernel's behaviour, and
// recurs with the same seed.
#include <uaio/sim.h>

#include "engine/kernel/sim/sim_kernel.h"
#include "tests/engine/kernel/sim/sim_driver.h"

#include <cerrno>
#include <map>
#include <random>
#include <string>

#include <doctest/doctest.h>

namespace uaio::sim_fault_test {

using std::chrono::microseconds;
using Completions = std::vector<SimCompletion>;

constexpr std::size_t kBytes = 4000;

std::string pattern(char first, std::size_t size) {
    std::string bytes(size, first);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<char>(first + i % 23);
    return bytes;
}

// A simple program without an engine: over one connection it sends a text and receives another,
// each in as many operations as needed, cancels now and then, and checks every result.
class Program {
public:
    Program(std::uint64_t seed, const Faults& faults)
        : kernel(seed, faults), driver_(kernel_of(kernel)), random_(seed) {}

    void run() {
        const int listener = driver_.listen(AF_INET);
        peer_ = &kernel.connect_peer(driver_.port_of(listener));
        peer_->read_slowly(700);
        peer_->send(in_);
        while (fd_ < 0) {
            fd_ = driver_.accept(listener);
            kernel.advance(std::chrono::milliseconds(1));
            if (peer_->state() == SimPeer::State::connected) continue;
            peer_ = &kernel.connect_peer(driver_.port_of(listener));  // it was aborted
            peer_->send(in_);
        }
        driver_.kernel().close(listener);
        while (!broken_ && (sent_ < out_.size() || received_ < in_.size()))
            turn();
        while (pending_ > 0)
            turn();
        peer_->read_everything();
        kernel.advance(std::chrono::milliseconds(10));
        driver_.kernel().close(std::exchange(fd_, -1));
        do {
            turn();
        } while (kernel.pending_operations() > 0 || kernel_of(kernel).pending());
        turn();
        check();
    }

    SimKernel kernel;

private:
    enum Tag : std::uint64_t { kSend = 1, kReceive, kCancel };

    void turn() {
        CAPTURE(kernel.describe());
        CAPTURE(kernel.describe_pending());
        REQUIRE(++turns_ < 20000);
        if (fd_ >= 0 && !sending_ && !broken_ && sent_ < out_.size()) start_send();
        if (fd_ >= 0 && !receiving_ && !broken_ && received_ < in_.size()) start_receive();
        if (pending_ > 0 && random_() % 4 == 0) {
            if (driver_.cancel(kCancel, random_() % 2 ? kSend : kReceive)) ++pending_;
        }
        const int result = driver_.enter(pending_ > 0 ? 1 : 0, kernel.now() + microseconds(300));
        const bool usual = result == 0 || result == -EINTR || result == -ETIME ||
                           result == -EBUSY || result == -EAGAIN;
        CHECK(usual);
        for (const SimCompletion& completion : driver_.reap())
            take(completion);
    }

    void start_send() {
        const char* const data = out_.data() + sent_;
        const std::size_t size = out_.size() - sent_;
        const int flags = MSG_NOSIGNAL | (random_() % 2 ? MSG_WAITALL : 0);
        const bool zero_copy = kernel_of(kernel).features().send_zero_copy && random_() % 2;
        sending_ = driver_.submit(kSend, [=, fd = fd_](io_uring_sqe* sqe) {
            if (zero_copy) {
                io_uring_prep_send_zc(sqe, fd, data, size, flags, 0);
            } else {
                io_uring_prep_send(sqe, fd, data, size, flags);
            }
        });
        if (sending_) ++pending_;
    }

    void start_receive() {
        receiving_ = driver_.submit(kReceive, [this](io_uring_sqe* sqe) {
            const std::size_t size = std::min(sizeof buffer_, in_.size() - received_);
            io_uring_prep_recv(sqe, fd_, buffer_, size, random_() % 2 ? MSG_WAITALL : 0);
        });
        if (receiving_) ++pending_;
    }

    void take(const SimCompletion& completion) {
        if (completion.flags & IORING_CQE_F_NOTIF) {
            --notifications_;
            CHECK(notifications_ >= 0);
            return;
        }
        if (completion.flags & IORING_CQE_F_MORE) ++notifications_;
        --pending_;
        ++results_[completion.res < 0 ? completion.res : 0];
        const bool dead = completion.res == -EPIPE || completion.res == -ECONNRESET;
        if (dead && completion.user_data != kCancel) broken_ = true;
        const std::size_t count = completion.res > 0 ? static_cast<std::size_t>(completion.res) : 0;
        if (completion.user_data == kSend) {
            sending_ = false;
            sent_ += count;
        } else if (completion.user_data == kReceive) {
            receiving_ = false;
            CHECK(in_.compare(received_, count, buffer_, count) == 0);
            received_ += count;
            if (completion.res == 0) broken_ = true;
        }
    }

    void check() {
        CHECK(notifications_ == 0);
        CHECK(kernel.open_descriptors() == 0);
        const std::string& got = peer_->received();
        CHECK(got.size() <= sent_);
        CHECK(out_.compare(0, got.size(), got) == 0);
        if (!broken_) CHECK(got.size() == out_.size());
        if (!broken_) CHECK(received_ == in_.size());
    }

    SimDriver driver_;
    std::mt19937 random_;
    SimPeer* peer_ = nullptr;
    int fd_ = -1;
    const std::string out_ = pattern('a', kBytes);
    const std::string in_ = pattern('A', kBytes);
    char buffer_[1500];
    std::size_t sent_ = 0;
    std::size_t received_ = 0;
    int turns_ = 0;
    int pending_ = 0;
    int notifications_ = 0;
    bool sending_ = false;
    bool receiving_ = false;
    bool broken_ = false;
    std::map<int, int> results_;
};

Faults every_fault() {
    return {.short_write = 200,
            .short_read = 200,
            .reset = 10,
            .interrupted_operation = 50,
            .accept_aborted = 100,
            .accept_exhausted = 100,
            .zero_copy_no_memory = 100,
            .zero_copy_refused = 100,
            .zero_copy_single = 300,
            .zero_copy_copied = 300,
            .late_cancel = 300,
            .lost_cancel = 300,
            .reorder = 300,
            .interrupted_enter = 100,
            .busy = 100,
            .partial_submission = 100,
            .submission_entries = 4,
            .completion_entries = 2,
            .latency_min = microseconds(0),
            .latency_max = microseconds(50),
            .delay_min = microseconds(1),
            .delay_max = microseconds(80),
            .window = 1024};
}

TEST_CASE("sim faults: random programs meet every fault and lose no byte") {
    SimCounters sum;
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        CAPTURE(seed);
        Program program(seed, every_fault());
        program.run();
        const SimCounters& counters = program.kernel.counters();
        sum.short_writes += counters.short_writes;
        sum.short_reads += counters.short_reads;
        sum.resets += counters.resets;
        sum.interrupted_operations += counters.interrupted_operations;
        sum.accepts_aborted += counters.accepts_aborted;
        sum.accepts_exhausted += counters.accepts_exhausted;
        sum.zero_copy_no_memory += counters.zero_copy_no_memory;
        sum.zero_copy_refused += counters.zero_copy_refused;
        sum.zero_copy_single += counters.zero_copy_single;
        sum.zero_copy_copied += counters.zero_copy_copied;
        sum.late_cancels += counters.late_cancels;
        sum.lost_cancels += counters.lost_cancels;
        sum.held_completions += counters.held_completions;
        sum.missed_cancels += counters.missed_cancels;
        sum.reorders += counters.reorders;
        sum.interrupted_enters += counters.interrupted_enters;
        sum.busy_enters += counters.busy_enters;
        sum.partial_submissions += counters.partial_submissions;
        sum.overflows += counters.overflows;
    }
    for (const std::uint64_t count :
         {sum.short_writes, sum.short_reads, sum.resets, sum.interrupted_operations,
          sum.accepts_aborted, sum.accepts_exhausted, sum.zero_copy_no_memory,
          sum.zero_copy_refused, sum.zero_copy_single, sum.zero_copy_copied, sum.late_cancels,
          sum.lost_cancels, sum.held_completions, sum.missed_cancels, sum.reorders,
          sum.interrupted_enters, sum.busy_enters, sum.partial_submissions, sum.overflows}) {
        CHECK(count > 10);
    }
}

TEST_CASE("sim faults: equal seeds give equal runs, and different seeds different ones") {
    std::map<std::uint64_t, std::string> first;
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            Program program(seed, every_fault());
            program.run();
            const std::string what =
                std::to_string(program.kernel.fingerprint()) + " " + program.kernel.describe();
            if (round == 0) first[seed] = what;
            CHECK(what == first[seed]);
            for (std::uint64_t other = 1; other < seed; ++other)
                CHECK(what != first[other]);
        }
    }
}

TEST_CASE("sim faults: without faults every operation completes in full and at once") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const auto [here, there] = driver.connection(AF_INET);
    const Clock::time_point start = kernel.now();
    const std::string bytes = pattern('a', 100000);
    std::string got(bytes.size(), '\0');
    CHECK(driver.send_now(here, bytes) == 100000);
    CHECK(driver.receive_now(there, got.data(), got.size()) == 100000);
    CHECK(got == bytes);
    CHECK(kernel.now() == start);
    CHECK(kernel.counters().overflows + kernel.counters().missed_cancels == 0);
}

TEST_CASE(
    "sim faults: a short send with MSG_WAITALL continues, or ends as if interrupted by a signal") {
    int ended_short = 0;
    int carried_on = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        SimKernel kernel(seed, {.short_write = 500});
        SimDriver driver(kernel_of(kernel));
        const auto [here, there] = driver.connection(AF_INET);
        const int res = driver.send_now(here, pattern('a', 100), MSG_WAITALL);
        CHECK(res > 0);
        if (res < 100) ++ended_short;
        if (res == 100 && kernel.counters().short_writes > 0) ++carried_on;
    }
    CHECK(ended_short > 5);
    CHECK(carried_on > 5);
}

TEST_CASE("sim faults: a late cancel finds the operation completed, or does not affect it") {
    std::map<std::pair<int, int>, int> seen;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SimKernel kernel(seed, {.late_cancel = 500, .window = 100});
        SimDriver driver(kernel_of(kernel));
        const auto [here, there] = driver.connection(AF_INET);
        const std::string text = pattern('a', 150);
        driver.send(1, here, text, MSG_WAITALL);
        driver.enter(0);
        char bytes[200];
        // Room for the rest comes before the cancel, with it, or never.
        if (seed % 3 == 0) driver.receive_now(there, bytes, 200);
        driver.cancel(2, 1);
        if (seed % 3 == 1) driver.receive(3, there, bytes, 200);
        std::map<std::uint64_t, int> results;
        for (const SimCompletion& completion : driver.settle()) {
            results[completion.user_data] = completion.res;
        }
        REQUIRE(results.count(1) == 1);
        REQUIRE(results.count(2) == 1);
        ++seen[{results[2], results[1]}];
        CHECK(kernel.pending_operations() == 0);
    }
    CHECK(seen[{-ENOENT, 150}] > 0);    // complete, cancelled too late
    CHECK(seen[{-EALREADY, 150}] > 0);  // not cancellable, completed
    CHECK(seen[{-EALREADY, 100}] > 0);  // not cancellable at first, ended later
    CHECK(seen[{0, 100}] > 0);          // cancelled
}

TEST_CASE("sim faults: a lost cancel does not find the operation, which goes on waiting") {
    SimKernel kernel(1, {.lost_cancel = 1000, .window = 100});
    SimDriver driver(kernel_of(kernel));
    const auto [here, there] = driver.connection(AF_INET);
    const std::string text = pattern('a', 150);
    driver.send(1, here, text, MSG_WAITALL);
    driver.cancel(2, 1);
    CHECK(driver.settle() == Completions{{2, -ENOENT, 0}});
    driver.cancel(3, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    CHECK(driver.settle() == Completions{{3, 0, 0}});
    CHECK(kernel.counters().lost_cancels == 2);
    CHECK(kernel.pending_operations() == 1);
    std::string got(150, '\0');
    driver.receive(4, there, got.data(), got.size(), MSG_WAITALL);
    CHECK(driver.settle() == Completions{{1, 150, 0}, {4, 150, 0}});
    CHECK(got == text);

    // A receive without MSG_WAITALL ends with the first bytes, so no cancel of it is lost.
    char byte;
    driver.receive(5, here, &byte, 1);
    driver.cancel(6, 5);
    CHECK(driver.settle() == Completions{{6, 0, 0}, {5, -ECANCELED, 0}});
}

TEST_CASE("sim faults: completions of one instant arrive in any order") {
    SimKernel kernel(3, {.reorder = 500});
    SimDriver driver(kernel_of(kernel));
    for (std::uint64_t i = 0; i < 20; ++i) {
        driver.submit(i, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
    }
    CHECK(driver.enter(20) == 0);
    std::vector<std::uint64_t> order;
    for (const SimCompletion& completion : driver.reap())
        order.push_back(completion.user_data);
    CHECK_FALSE(std::ranges::is_sorted(order));
    std::ranges::sort(order);
    CHECK(order.size() == 20);
    CHECK(order.front() == 0);
    CHECK(order.back() == 19);
}

TEST_CASE("sim faults: a busy kernel refuses submissions at most three times") {
    SimKernel kernel(1, {.busy = 1000});
    SimDriver driver(kernel_of(kernel));
    driver.submit(1, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
    for (int i = 0; i < 3; ++i) {
        const int result = driver.enter(1);
        CHECK((result == -EBUSY || result == -EAGAIN));
        CHECK(kernel.counters().operations == 0);
    }
    CHECK(driver.enter(1) == 0);
    CHECK(driver.reap().size() == 1);
}

TEST_CASE("sim faults: the kernel takes part of a submission, and the rest stays published") {
    SimKernel kernel(1, {.partial_submission = 1000});
    SimDriver driver(kernel_of(kernel));
    for (std::uint64_t i = 0; i < 8; ++i) {
        driver.submit(i, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
    }
    CHECK(driver.enter(8) == 0);
    const std::uint64_t taken = kernel.counters().operations;
    CHECK(taken >= 1);
    CHECK(taken < 8);
    Completions all;
    while (all.size() < 8) {
        driver.enter(1);
        for (const SimCompletion& completion : driver.reap())
            all.push_back(completion);
    }
    for (std::uint64_t i = 0; i < 8; ++i)
        CHECK(all[i].user_data == i);
}

TEST_CASE("sim faults: a connect fails with each of its errors") {
    std::map<int, int> seen;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        SimKernel kernel(seed, {.connect_failed = 900});
        SimDriver driver(kernel_of(kernel));
        const int res = driver.connect(AF_INET, driver.listen(AF_INET));
        ++seen[res < 0 ? res : 0];
    }
    for (const int error : {0, -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, -ENETUNREACH}) {
        CHECK(seen[error] > 0);
    }
}

TEST_CASE("sim faults: a send before its connect is over does not reset the connection") {
    const microseconds delay(1000);
    SimKernel kernel(1, {.reset = 1000, .delay_min = delay, .delay_max = delay});
    SimDriver driver(kernel_of(kernel));
    SimListener& server = kernel.listen_peer();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    const int fd = driver.kernel().socket(AF_INET, SOCK_STREAM, 0);
    driver.submit(1, [&](io_uring_sqe* sqe) {
        io_uring_prep_connect(sqe, fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    });
    driver.send(2, fd, "early");
    CHECK(driver.settle() == Completions{{2, -EPIPE, 0}, {1, 0, 0}});
    CHECK(kernel.counters().resets == 0);
    REQUIRE(server.peers().size() == 1);
    CHECK(server.peers()[0]->state() == SimPeer::State::connected);
}

TEST_CASE("sim faults: accepts fail, with and without losing the connection") {
    SimKernel aborting(1, {.accept_aborted = 1000});
    SimDriver driver(kernel_of(aborting));
    const int listener = driver.listen(AF_INET);
    SimPeer& aborted = aborting.connect_peer(driver.port_of(listener));
    CHECK(driver.accept(listener) == -ECONNABORTED);
    CHECK(aborted.saw_reset());

    SimKernel full(1, {.descriptors = 1});
    SimDriver full_driver(kernel_of(full));
    const int full_listener = full_driver.listen(AF_INET);
    const SimPeer& waiting = full.connect_peer(full_driver.port_of(full_listener));
    CHECK(full_driver.accept(full_listener) == -EMFILE);
    CHECK(waiting.state() == SimPeer::State::connected);
}

}  // namespace uaio::sim_fault_test
