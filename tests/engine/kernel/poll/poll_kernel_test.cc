// Behaviour of PollKernel alone: refused operations, order, waiting, and descriptors that are
// closed or full. kernel_*_test.cc test the behaviour that it shares with io_uring.
#include "tests/engine/kernel/ring_driver.h"
#include "tests/support/kernels.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstddef>
#include <thread>

namespace uaio::test::poll_kernel_test {

using std::chrono::milliseconds;

bool is_readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

TEST_CASE("PollKernel: reports its kind and the reason") {
    const PollKernel kernel(test_options(), "io_uring was forbidden");
    CHECK(kernel.kind() == KernelKind::epoll);
    CHECK(kernel.reason() == "io_uring was forbidden");
    CHECK(kernel.features().send_waitall);
    CHECK_FALSE(kernel.features().send_zero_copy);
    CHECK_FALSE(kernel.features().sendmsg_zero_copy);
    CHECK_FALSE(kernel.features().sq_polled);
}

TEST_CASE("PollKernel: an unsupported operation fails with EINVAL, as on an old io_uring") {
    Poll poll;
    const SocketPair pair = unix_pair();
    char byte = 0;
    iovec entry{&byte, 1};
    msghdr header{};
    header.msg_iov = &entry;
    header.msg_iovlen = 1;
    io_uring_prep_send_zc(poll.ring.next(1), pair.here, &byte, 1, 0, 0);
    io_uring_prep_sendmsg_zc(poll.ring.next(2), pair.here, &header, 0);
    poll.ring.next(3)->opcode = 250;
    io_uring_prep_recv_multishot(poll.ring.next(4), pair.here, &byte, 1, 0);
    io_uring_prep_multishot_accept(poll.ring.next(5), pair.here, nullptr, nullptr, 0);
    io_uring_prep_poll_multishot(poll.ring.next(6), pair.here, POLLIN);
    io_uring_prep_accept_direct(poll.ring.next(7), pair.here, nullptr, nullptr, 0, 1);
    io_uring_prep_close_direct(poll.ring.next(8), 1);
    for (const unsigned flag : {IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_IO_DRAIN, IOSQE_FIXED_FILE,
                                IOSQE_BUFFER_SELECT}) {
        poll.ring.next(100 + flag)->flags = static_cast<std::uint8_t>(flag);
    }
    CHECK(poll.ring.enter() == 0);
    const std::vector<Completion> completions = poll.ring.take();
    CHECK(completions.size() == 13);
    for (const Completion& completion : completions) {
        CAPTURE(completion.user_data);
        CHECK(completion.result == -EINVAL);
    }
    CHECK(read_available(pair.peer).empty());
}

TEST_CASE("PollKernel: operations on one side of a descriptor keep their order") {
    Poll poll;
    const SocketPair pair = tcp_pair();
    const std::string first = pattern(4 << 20, 1), second = pattern(1 << 20, 2), third = "end";
    io_uring_prep_send(poll.ring.next(1), pair.here, first.data(), first.size(), MSG_WAITALL);
    io_uring_prep_send(poll.ring.next(2), pair.here, second.data(), second.size(), MSG_WAITALL);
    io_uring_prep_send(poll.ring.next(3), pair.here, third.data(), third.size(), 0);
    std::array<std::string, 4> parts;
    for (std::uint64_t i = 0; i < parts.size(); ++i) {
        parts[i].resize(5);
        io_uring_prep_recv(poll.ring.next(10 + i), pair.here, parts[i].data(), 5, MSG_WAITALL);
    }
    CHECK(poll.ring.poll() == 0);
    std::string received;
    while (received.size() < first.size() + second.size() + third.size()) {
        received += read_available(pair.peer);
        poll.ring.poll();
    }
    CHECK(poll.ring.finish(1) == static_cast<int>(first.size()));
    CHECK(poll.ring.finish(2) == static_cast<int>(second.size()));
    CHECK(poll.ring.finish(3) == 3);
    CHECK((received == first + second + third));
    REQUIRE(::send(pair.peer, "AAAAABBBBBCCCCCDDDDD", 20, 0) == 20);
    for (std::uint64_t i = 0; i < parts.size(); ++i)
        CHECK(poll.ring.finish(10 + i) == 5);
    CHECK((parts[0] == "AAAAA" && parts[1] == "BBBBB"));
    CHECK((parts[2] == "CCCCC" && parts[3] == "DDDDD"));
}

TEST_CASE("PollKernel: the destination of a send may be reused after enter") {
    Poll poll;
    const Fd here = bound_socket(SOCK_DGRAM);
    const Fd peer = bound_socket(SOCK_DGRAM);
    sockaddr_in to = local_address(peer);
    io_uring_sqe* const sqe = poll.ring.next(1);
    io_uring_prep_send(sqe, here, "there", 5, 0);
    io_uring_prep_send_set_addr(sqe, generic(to), sizeof to);
    CHECK(poll.ring.finish(1) == 5);
    CHECK(read_available(peer, 5) == "there");
}

TEST_CASE("PollKernel: a wait ends at its deadline with -ETIME, not before it") {
    Poll poll;
    const SocketPair pair = unix_pair();
    char into[8];
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    for (const auto patience : {milliseconds(0), milliseconds(3), milliseconds(-50)}) {
        const Clock::time_point deadline = Clock::now() + patience;
        CHECK(poll.ring.enter(1, deadline) == -ETIME);
        CHECK(Clock::now() >= deadline);
    }
    CHECK(poll.ring.enter(1, Clock::time_point::min()) == -ETIME);
    CHECK(poll.ring.enter(0, Clock::time_point::min()) == 0);
}

TEST_CASE("PollKernel: enter without a wait returns at once") {
    Poll poll;
    const SocketPair pair = unix_pair();
    char into[8];
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    CHECK(poll.ring.enter(0, Clock::time_point::max()) == 0);
    CHECK(poll.ring.take().empty());
}

TEST_CASE("PollKernel: another thread wakes a wait, with and without a read of wake_fd()") {
    Poll poll;
    for (const bool reading : {true, false, true}) {
        std::uint64_t value = 0;
        if (reading) io_uring_prep_read(poll.ring.next(1), poll.kernel.wake_fd(), &value, 8, 0);
        std::thread waker([&] { poll.kernel.wake(); });
        CHECK(poll.ring.enter(1) == 0);
        waker.join();
        if (reading) {
            CHECK(poll.ring.finish(1) == 8);
            CHECK(value > 0);
        }
    }
    // A wake before the wait counts too.
    poll.kernel.wake();
    CHECK(poll.ring.enter(0) == 0);
    CHECK(poll.ring.enter(1) == 0);
    CHECK(poll.ring.enter(1, Clock::now()) == -ETIME);
}

TEST_CASE("PollKernel: a signal ends a wait with -EINTR") {
    struct sigaction act {
    }, old{};
    act.sa_handler = [](int) {};
    REQUIRE(::sigaction(SIGUSR2, &act, &old) == 0);
    Poll poll;
    const pthread_t waiter = ::pthread_self();
    std::atomic<bool> over = false;
    // Repeatedly, since the first may come before the wait.
    std::thread sender([&] {
        while (!over.load()) {
            ::pthread_kill(waiter, SIGUSR2);
            std::this_thread::yield();
        }
    });
    CHECK(poll.ring.enter_once(1, Clock::now() + kPatience) == -EINTR);
    over.store(true);
    sender.join();
    ::sigaction(SIGUSR2, &old, nullptr);
}

TEST_CASE("PollKernel: completions beyond the ring's size are queued in order") {
    EngineOptions options = test_options();
    options.entries = 4;
    options.completions = 8;
    Poll poll(options);
    std::uint64_t submitted = 0;
    for (int batch = 0; batch < 16; ++batch) {
        for (int i = 0; i < 4; ++i)
            poll.ring.next(submitted++);
        CHECK(poll.ring.enter(1) == 0);
        CHECK(poll.kernel.pending() == (submitted > 8));
    }
    std::uint64_t expected = 0;
    while (expected < submitted) {
        for (const Completion& completion : poll.ring.take()) {
            CHECK(completion.user_data == expected++);
        }
        CHECK(poll.ring.enter(expected < submitted) == 0);
    }
    CHECK_FALSE(poll.kernel.pending());
}

TEST_CASE("PollKernel: poll_fd() is readable when enter(0) has work") {
    Poll poll;
    const SocketPair pair = unix_pair();
    char into[8];
    std::uint64_t value = 0;
    CHECK_FALSE(poll.kernel.notify(-1));
    const int watched = poll.kernel.poll_fd();
    const Fd foreign(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN;
    REQUIRE(::epoll_ctl(foreign, EPOLL_CTL_ADD, watched, &event) == 0);
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    io_uring_prep_read(poll.ring.next(2), poll.kernel.wake_fd(), &value, sizeof value, 0);
    CHECK(poll.ring.poll() == 0);
    CHECK_FALSE(is_readable(watched));
    REQUIRE(::send(pair.peer, "x", 1, 0) == 1);
    CHECK(is_readable(watched));
    CHECK(::epoll_wait(foreign, &event, 1, 0) == 1);
    CHECK(poll.ring.poll() == 1);
    CHECK(poll.ring.finish(1) == 1);
    CHECK_FALSE(is_readable(watched));
    poll.kernel.wake();
    CHECK(::epoll_wait(foreign, &event, 1, 0) == 1);
    CHECK(poll.ring.poll() == 1);
    CHECK(poll.ring.finish(2) == 8);
    CHECK_FALSE(is_readable(watched));
}

// From here on epoll_pwait2(2) fails with EPERM in this process, as under old seccomp profiles.
bool forbid_precise_waits() {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{std::size(filter), filter};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_CASE("PollKernel: a wait without epoll_pwait2 is rounded up to milliseconds") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (!forbid_precise_waits()) ::_exit(2);
        PollKernel kernel(test_options(), "for a test");
        if (kernel.bind()) ::_exit(1);
        for (const auto patience :
             {std::chrono::microseconds(300), std::chrono::microseconds(2700)}) {
            const Clock::time_point deadline = Clock::now() + patience;
            if (kernel.enter(1, deadline) != -ETIME || Clock::now() < deadline) ::_exit(1);
        }
        kernel.wake();
        ::_exit(kernel.enter(1, Clock::time_point::max()) == 0 ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) return report_skip("the kernel has no seccomp filters");
    CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace uaio::test::poll_kernel_test
