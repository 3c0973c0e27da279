// The simulated kernel's time, steps, rings and statistics.
#include "engine/kernel/sim/sim_kernel.h"

#include <uaio/sim.h>

#include "tests/engine/kernel/sim/sim_driver.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>

#include <doctest/doctest.h>

namespace uaio::sim_kernel_test {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

void nop(SimDriver& driver, std::uint64_t user_data) {
    driver.submit(user_data, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
}

// The standard error of a child process until it is aborted; empty if it is not.
std::string last_words(const std::function<void()>& program) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        ::signal(SIGABRT, SIG_DFL);  // not the test program's own
        program();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string words;
    char part[256];
    for (ssize_t got; (got = ::read(ends[0], part, sizeof part)) > 0;) {
        words.append(part, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "";
}

TEST_CASE("sim kernel: time advances only during a wait") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const Clock::time_point start = kernel.now();
    nop(driver, 1);
    CHECK(driver.enter(1) == 0);
    CHECK(driver.enter(0) == 0);
    CHECK(kernel.now() == start);
    CHECK(driver.reap().size() == 1);

    CHECK(driver.enter(1, start + milliseconds(5)) == -ETIME);
    CHECK(kernel.now() == start + milliseconds(5));
    CHECK(driver.enter(1, start + milliseconds(4)) == -ETIME);
    CHECK(kernel.now() == start + milliseconds(5));
}

TEST_CASE("sim kernel: a wait ends with the next event, not with its deadline") {
    SimKernel kernel(1, {.latency_min = milliseconds(2), .latency_max = milliseconds(2)});
    SimDriver driver(kernel_of(kernel));
    const Clock::time_point start = kernel.now();
    nop(driver, 1);
    CHECK(driver.enter(1, start + seconds(1)) == 0);
    CHECK(kernel.now() == start + milliseconds(2));
}

TEST_CASE("sim kernel: a wait ends at its deadline one tick before, on and after an event") {
    for (const int tick : {-1, 0, 1}) {
        SimKernel kernel(1, {.latency_min = milliseconds(2), .latency_max = milliseconds(2)});
        SimDriver driver(kernel_of(kernel));
        nop(driver, 1);
        const auto deadline = kernel.now() + milliseconds(2) + nanoseconds(tick);
        CHECK(driver.enter(1, deadline) == (tick < 0 ? -ETIME : 0));
    }
}

TEST_CASE("sim kernel: enter_time advances the clock of a program that never waits") {
    SimKernel kernel(1, {.enter_time = milliseconds(1)});
    SimDriver driver(kernel_of(kernel));
    int happened = 0;
    kernel.schedule(milliseconds(5), [&] { ++happened; });
    const Clock::time_point start = kernel.now();
    for (int turn = 1; turn <= 10; ++turn) {
        nop(driver, 1);
        driver.enter(1);
        CHECK(kernel.now() == start + milliseconds(turn));
        CHECK(happened == (turn >= 5));
        driver.reap();
    }
}

TEST_CASE("sim kernel: advance runs scheduled events without an engine") {
    SimKernel kernel(1);
    std::string order;
    kernel.schedule(milliseconds(2), [&] { order += 'b'; });
    kernel.schedule(milliseconds(1), [&] {
        order += 'a';
        kernel.schedule(milliseconds(1), [&] { order += 'c'; });
    });
    kernel.schedule(milliseconds(9), [&] { order += 'z'; });
    const Clock::time_point start = kernel.now();
    kernel.advance(milliseconds(3));
    CHECK(order == "abc");
    CHECK(kernel.now() == start + milliseconds(3));
}

TEST_CASE("sim kernel: times beyond the range of the clock are its last one") {
    SimKernel kernel(1);
    unsigned runs = 0;
    kernel.schedule(std::chrono::nanoseconds::max(), [&] { ++runs; });
    kernel.advance(std::chrono::nanoseconds::zero());
    kernel.advance(std::chrono::hours(1000));
    CHECK(runs == 0);
    const Clock::time_point before = kernel.now();
    kernel.advance(std::chrono::nanoseconds::min());
    CHECK(kernel.now() == before);
    kernel.advance(std::chrono::nanoseconds::max());
    CHECK(kernel.now() == Clock::time_point::max());
    CHECK(runs == 1);
    kernel.schedule(std::chrono::nanoseconds(1), [&] { ++runs; });
    kernel.advance(std::chrono::nanoseconds(1));
    CHECK(runs == 2);
}

TEST_CASE("sim kernel: an action runs outside the kernel, and may submit to it") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const auto inside = [] { return SimKernel::running(); };
    bool was_inside = true;
    kernel.schedule(milliseconds(1), [&] {
        was_inside = inside();
        nop(driver, 7);
        // Also after an extra enter(), such as an engine with a full ring makes.
        CHECK(driver.enter(0) == 0);
    });
    CHECK(driver.enter(1) == 0 - EINTR);
    CHECK_FALSE(was_inside);
    CHECK_FALSE(inside());
    const auto found = driver.reap();
    REQUIRE(found.size() == 1);
    CHECK(found[0].user_data == 7);
}

TEST_CASE("sim kernel: at_step runs its action between two steps") {
    for (std::uint64_t step = 0; step < 4; ++step) {
        SimKernel kernel(1);
        SimDriver driver(kernel_of(kernel));
        std::uint64_t met = 99;
        kernel.at_step(step, [&] { met = kernel.steps(); });
        nop(driver, 1);
        nop(driver, 2);
        // The kernel consumes two entries, then posts two completions.
        const int result = driver.enter(2, kernel.now() + seconds(1));
        CHECK(met == step);
        CHECK(kernel.steps() == step);
        CHECK(result == (step == 0 ? -EINTR : 0));
        CHECK(driver.reap().size() == (step == 3 ? 1 : 0));
        CHECK(driver.enter(0) == 0);
        CHECK(kernel.steps() == 4);
        CHECK(driver.reap().size() == (step == 3 ? 1 : 2));
    }
}

TEST_CASE("sim kernel: an empty action at a step only returns to the engine") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    kernel.at_step(1, {});
    nop(driver, 1);
    CHECK(driver.enter(1) == 0);
    CHECK(driver.reap().empty());
    CHECK(driver.enter(1) == 0);
    CHECK(driver.reap().size() == 1);
}

TEST_CASE("sim kernel: a wait that cannot end stops the program with a message") {
    const std::string words = last_words([] {
        SimKernel kernel(4711);
        SimDriver driver(kernel_of(kernel));
        const auto [here, there] = driver.connection(AF_INET);
        static char bytes[10];
        driver.receive(1, here, bytes, sizeof bytes);
        driver.enter(1);
    });
    CHECK(words.find("no event is pending") != std::string::npos);
    CHECK(words.find("seed=4711") != std::string::npos);
    CHECK(words.find("receive on 1000001, 0 of 10 bytes, waiting") != std::string::npos);
}

TEST_CASE("sim kernel: an operation that is not simulated stops the program with a message") {
    const std::string words = last_words([] {
        SimKernel kernel(1);
        SimDriver driver(kernel_of(kernel));
        driver.submit(1, [](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, 0, 0); });
        driver.enter(0);
    });
    CHECK(words.find("the opcode 3 is not simulated") != std::string::npos);
}

TEST_CASE("sim kernel: wake ends one wait") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const Clock::time_point start = kernel.now();
    driver.kernel().wake();
    CHECK(driver.enter(1) == 0);
    CHECK(kernel.now() == start);
    CHECK(driver.enter(1, start + seconds(1)) == -ETIME);
}

TEST_CASE("sim kernel: completions beyond the ring's size are queued in order") {
    SimKernel kernel(1, {.completion_entries = 8});
    SimDriver driver(kernel_of(kernel));
    for (std::uint64_t i = 0; i < 64; ++i)
        nop(driver, i);
    CHECK(driver.enter(8) == 0);
    CHECK(driver.kernel().pending());
    CHECK(kernel.counters().overflows == 56);
    std::uint64_t expected = 0;
    while (expected < 64) {
        for (const SimCompletion& found : driver.reap())
            CHECK(found.user_data == expected++);
        CHECK(driver.enter(0) == 0);
    }
    CHECK_FALSE(driver.kernel().pending());
    CHECK(kernel.pending_operations() == 0);
}

TEST_CASE("sim kernel: a submission ring is full after as many entries as its size") {
    SimKernel kernel(1, {.submission_entries = 4});
    SimDriver driver(kernel_of(kernel));
    for (std::uint64_t i = 0; i < 4; ++i)
        nop(driver, i);
    CHECK_FALSE(driver.submit(4, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); }));
    CHECK(driver.enter(4) == 0);
    CHECK(driver.reap().size() == 4);
}

TEST_CASE(
    "sim kernel: IOSQE_CQE_SKIP_SUCCESS suppresses the completion of a success, not of a failure") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    driver.submit(1, [](io_uring_sqe* sqe) {
        io_uring_prep_nop(sqe);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    });
    driver.submit(2, [](io_uring_sqe* sqe) {
        io_uring_prep_close(sqe, 3);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    });
    const auto found = driver.settle();
    REQUIRE(found.size() == 1);
    CHECK(found[0] == SimCompletion{2, -EBADF, 0});
}

TEST_CASE("sim kernel: descriptors are simulated, and the lowest free one is reused") {
    SimKernel kernel(1, {.descriptors = 3});
    Kernel& calls = kernel_of(kernel);
    CHECK(calls.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) == 1000000);
    CHECK(calls.socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) == 1000001);
    CHECK(calls.socket(AF_UNIX, SOCK_STREAM, 0) == 1000002);
    CHECK(calls.socket(AF_INET, SOCK_STREAM, 0) == -EMFILE);
    CHECK(kernel.open_descriptors() == 3);
    CHECK(calls.close(1000001) == 0);
    CHECK(calls.close(1000001) == -EBADF);
    CHECK(calls.socket(AF_INET, SOCK_DGRAM, 0) == -ESOCKTNOSUPPORT);
    CHECK(calls.socket(AF_NETLINK, SOCK_STREAM, 0) == -EAFNOSUPPORT);
    CHECK(calls.socket(AF_INET, SOCK_STREAM, 0) == 1000001);
    CHECK(::close(1000001) == -1);
}

TEST_CASE("sim kernel: describe() gives the seed and the counters in one line") {
    SimKernel kernel(42);
    SimDriver driver(kernel_of(kernel));
    nop(driver, 1);
    driver.enter(1);
    CHECK(kernel.describe() ==
          "seed=42 time_ns=1000000000000000 steps=2 operations=1 completions=1");
    CHECK(kernel.describe_pending().empty());
}

TEST_CASE("sim kernel: the ring sizes and features are those of a newer kernel by default") {
    SimKernel newer(1);
    CHECK(kernel_of(newer).features().send_waitall);
    CHECK(kernel_of(newer).features().sendmsg_zero_copy);
    CHECK(kernel_of(newer).ring().sq_mask == 255);
    CHECK(kernel_of(newer).ring().cq_mask == 4095);
    SimKernel older(1, {.no_waitall = true, .no_zero_copy = true});
    CHECK_FALSE(kernel_of(older).features().send_waitall);
    CHECK_FALSE(kernel_of(older).features().send_zero_copy);
    CHECK(kernel_of(older).wake_fd() == -1);
    CHECK(kernel_of(older).notify(1) == std::errc::operation_not_supported);
}

}  // namespace uaio::sim_kernel_test
