// A PollKernel allocates nothing per operation once it has run as many at the same time, and loses
// none when memory is exhausted.
#include "engine/kernel/poll/poll_kernel.h"
#include "tests/engine/kernel/ring_driver.h"
#include "tests/support/allocations.h"
#include "tests/support/kernels.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <set>
#include <vector>

#include <doctest/doctest.h>
#include <liburing.h>

namespace uaio::test::poll_kernel_allocation_test {

constexpr std::size_t kPairs = 50;
constexpr std::size_t kEntries = 20;  // more than fit inline
constexpr unsigned kCompletionsPerRound = 4 * kPairs;

// A round on each socket pair: a receive into a long iovec list waits, a second one behind it is
// cancelled, and a send completes the first.
class Rounds {
public:
    explicit Rounds(PollKernel& kernel) : kernel_(kernel), ring_(kernel.ring()) {
        for (auto& pair : pairs_) {
            REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
        }
        for (std::size_t i = 0; i < kEntries; ++i)
            entries_[i] = {&bytes_[i], 1};
        header_.msg_iov = entries_.data();
        header_.msg_iovlen = kEntries;
    }
    ~Rounds() {
        for (const auto& pair : pairs_) {
            ::close(pair[0]);
            ::close(pair[1]);
        }
    }
    Rounds(const Rounds&) = delete;
    Rounds& operator=(const Rounds&) = delete;

    void run() {
        unsigned completed = 0;
        for (std::size_t i = 0; i < kPairs; ++i) {
            io_uring_prep_recvmsg(next(4 * i), pairs_[i][0], &header_, MSG_WAITALL);
            io_uring_prep_recv(next(4 * i + 1), pairs_[i][0], bytes_.data(), 1, 0);
        }
        completed += enter(0);
        for (std::size_t i = 0; i < kPairs; ++i) {
            io_uring_prep_send(next(4 * i + 2), pairs_[i][1], bytes_.data(), kEntries, MSG_WAITALL);
            io_uring_prep_cancel64(next(4 * i + 3), 4 * i + 1, 0);
        }
        while (completed < kCompletionsPerRound)
            completed += enter(1);
    }

    // Operations that ended with an unexpected result.
    unsigned wrong() const { return wrong_; }

private:
    io_uring_sqe* next(std::uint64_t user_data) {
        io_uring_sqe* const sqe = &ring_.sqes[tail_++ & ring_.sq_mask];
        sqe->user_data = user_data;
        return sqe;
    }

    unsigned enter(unsigned wait) {
        std::atomic_ref(*ring_.sq_tail).store(tail_, std::memory_order_release);
        if (kernel_.enter(wait, Clock::time_point::max()) != 0) ++wrong_;
        unsigned head = *ring_.cq_head;
        unsigned taken = 0;
        for (; head != std::atomic_ref(*ring_.cq_tail).load(std::memory_order_acquire); ++head) {
            check(ring_.cqes[head & ring_.cq_mask]);
            ++taken;
        }
        std::atomic_ref(*ring_.cq_head).store(head, std::memory_order_release);
        return taken;
    }

    void check(const io_uring_cqe& cqe) {
        constexpr std::array<int, 4> kExpected{kEntries, -ECANCELED, kEntries, 0};
        if (cqe.res != kExpected[cqe.user_data % 4]) ++wrong_;
    }

    PollKernel& kernel_;
    RingView ring_;
    unsigned tail_ = 0;
    std::array<std::array<int, 2>, kPairs> pairs_{};
    std::array<char, kEntries> bytes_{};
    std::array<iovec, kEntries> entries_{};
    msghdr header_{};
    unsigned wrong_ = 0;
};

TEST_CASE("PollKernel: a steady state allocates nothing") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    PollKernel kernel(EngineOptions{}, "for a test");
    REQUIRE_FALSE(kernel.bind());
    Rounds rounds(kernel);
    // The pool returns operations in a different order each time, and each allocates for its first
    // long list, so it takes some rounds until all have.
    for (int i = 0; i < 50; ++i)
        rounds.run();
    const std::uint64_t before = thread_allocations();
    for (int i = 0; i < 200; ++i)
        rounds.run();
    CHECK(thread_allocations() == before);
    CHECK(rounds.wrong() == 0);
}

// Rings so small that most completions are held back.
EngineOptions tiny_rings() {
    EngineOptions options;
    options.entries = 2;
    options.completions = 4;
    return options;
}

TEST_CASE("PollKernel: waiting operations complete without memory") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::uint64_t kOperations = 100;
    Poll poll(tiny_rings());
    std::vector<SocketPair> pairs;
    std::array<char, kOperations> bytes{};
    for (std::uint64_t i = 0; i < kOperations; ++i) {
        pairs.push_back(unix_pair());
        io_uring_prep_recv(poll.ring.next(i), pairs.back().here, &bytes[i], 1, 0);
        REQUIRE(poll.ring.enter() == 0);
    }
    for (const SocketPair& pair : pairs)
        REQUIRE(::send(pair.peer, "x", 1, MSG_NOSIGNAL) == 1);
    const std::uint64_t before = thread_allocations();
    const int entered = poll.ring.enter();
    CHECK(thread_allocations() == before);
    CHECK(entered == 0);
    std::set<std::uint64_t> seen;
    while (seen.size() < kOperations) {
        REQUIRE(poll.ring.enter(1) == 0);
        for (const Completion& completion : poll.ring.take()) {
            CHECK(completion.result == 1);
            CHECK(seen.insert(completion.user_data).second);
        }
    }
}

TEST_CASE("PollKernel: without memory for its completion a submission stays in the ring") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Poll poll(tiny_rings());
    for (std::uint64_t i = 0; i < 4; i += 2) {
        poll.ring.next(i);
        poll.ring.next(i + 1);
        REQUIRE(poll.ring.enter() == 0);
    }
    poll.ring.next(4);
    fail_next_allocation();
    CHECK(poll.ring.enter_once(1, Clock::now()) == -EAGAIN);
    CHECK(stop_failing());
    CHECK(poll.ring.take().size() == 4);
    CHECK(poll.ring.enter() == 0);
    const std::vector<Completion> last = poll.ring.take();
    REQUIRE(last.size() == 1);
    CHECK(last[0].user_data == 4);
}

}  // namespace uaio::test::poll_kernel_allocation_test
