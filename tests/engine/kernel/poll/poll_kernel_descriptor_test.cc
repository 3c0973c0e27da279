// How a PollKernel handles descriptors that are opened and closed, without its knowledge too, files
// that epoll does not support, and the lack of descriptors.
#include "tests/engine/kernel/ring_driver.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <exception>
#include <filesystem>

namespace uaio::test::poll_kernel_descriptor_test {

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// While it lives, this process has no free descriptor.
class NoDescriptors {
public:
    NoDescriptors() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &old_) == 0);
        const Fd lowest(::dup(0));  // the first free one
        const rlimit none{static_cast<rlim_t>(static_cast<int>(lowest)), old_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &old_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit old_{};
};

// A unix listener whose queue is full, and a socket for a connect that must wait for queue space.
struct FullListener {
    FullListener() : listener(unix_socket()), waiting(unix_socket()), first_(unix_socket()) {
        // An address chosen by the kernel (unix(7), autobind), which leaves no file behind.
        address_.sun_family = AF_UNIX;
        REQUIRE(::bind(listener, address(), sizeof(sa_family_t)) == 0);
        REQUIRE(::listen(listener, 0) == 0);
        REQUIRE(::getsockname(listener, address(), &size_) == 0);
        REQUIRE(::connect(first_, address(), size_) == 0);
    }

    void connect(io_uring_sqe* sqe) { io_uring_prep_connect(sqe, waiting, address(), size_); }
    void make_room() const { Fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)); }

    Fd listener;
    Fd waiting;

private:
    static Fd unix_socket() { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
    sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }

    Fd first_;
    sockaddr_un address_{};
    socklen_t size_ = sizeof address_;
};

TEST_CASE("PollKernel: an operation works on a descriptor number that the program has reused") {
    Poll poll;
    char into[8];
    int number = -1;
    for (int round = 0; round < 3; ++round) {
        SocketPair pair = unix_pair();
        if (number < 0) number = pair.here;
        REQUIRE(pair.here == number);
        io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
        CHECK(poll.ring.poll() == 0);
        REQUIRE(::send(pair.peer, "x", 1, 0) == 1);
        CHECK(poll.ring.finish(1) == 1);
        // While a duplicate exists, epoll keeps watching the closed number's file.
        const Fd duplicate(::fcntl(pair.here, F_DUPFD_CLOEXEC, 100 + round));
        pair.here.reset();
        io_uring_prep_recv(poll.ring.next(2), duplicate, into, sizeof into, 0);
        CHECK(poll.ring.poll() == 0);
        REQUIRE(::send(pair.peer, "y", 1, 0) == 1);
        CHECK(poll.ring.finish(2) == 1);
    }
}

TEST_CASE("PollKernel: operations work on descriptor numbers that its own calls have reused") {
    Poll poll;
    const std::size_t before = open_descriptors();
    {
        const Fd listener = tcp_listener();
        sockaddr_in to = local_address(listener);
        char into[8];
        for (int round = 0; round < 5; ++round) {
            const int client = poll.kernel.socket(AF_INET, SOCK_STREAM, 0);
            io_uring_prep_accept(poll.ring.next(1), listener, nullptr, nullptr, SOCK_CLOEXEC);
            io_uring_prep_connect(poll.ring.next(2), client, generic(to), sizeof to);
            CHECK(poll.ring.finish(2) == 0);
            const int accepted = poll.ring.finish(1);
            io_uring_prep_recv(poll.ring.next(3), accepted, into, sizeof into, 0);
            CHECK(poll.ring.poll() == 0);
            io_uring_prep_send(poll.ring.next(4), client, "x", 1, 0);
            CHECK(poll.ring.finish(3) == 1);
            CHECK(poll.ring.finish(4) == 1);
            CHECK(poll.kernel.close(client) == 0);
            io_uring_prep_close(poll.ring.next(5), accepted);
            CHECK(poll.ring.finish(5) == 0);
        }
    }
    CHECK(open_descriptors() == before);
    CHECK(poll.kernel.close(-1) == -EBADF);
}

TEST_CASE("PollKernel: an operation keeps its file open after close(2), as in io_uring") {
    Poll poll;
    SocketPair pair = unix_pair();
    const std::size_t before = open_descriptors();
    char into[8] = {};
    fill(pair.here);
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    io_uring_prep_send(poll.ring.next(2), pair.here, "late", 4, 0);
    CHECK(poll.ring.poll() == 0);
    CHECK(poll.kernel.close(pair.here.release()) == 0);
    CHECK(poll.ring.poll() == 0);
    REQUIRE(::send(pair.peer, "held", 4, 0) == 4);
    CHECK(poll.ring.finish(1) == 4);
    CHECK(std::string(into) == "held");
    io_uring_prep_cancel64(poll.ring.next(3), 2, 0);
    CHECK(poll.ring.finish(3) == 0);
    CHECK(poll.ring.finish(2) == -ECANCELED);
    // The last of the operations closed it.
    CHECK(open_descriptors() == before - 1);
    read_available(pair.peer);
    CHECK(::recv(pair.peer, into, 1, 0) == 0);
}

TEST_CASE("PollKernel: an accept cancels an operation on the closed file whose number it returns") {
    Poll poll;
    const Fd listener = tcp_listener();
    sockaddr_in to = local_address(listener);
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SocketPair pair = unix_pair();
    char into[8];
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    CHECK(poll.ring.poll() == 0);
    const int number = pair.here;
    pair.here.reset();
    REQUIRE(::connect(client, generic(to), sizeof to) == 0);
    io_uring_prep_accept(poll.ring.next(2), listener, nullptr, nullptr, SOCK_CLOEXEC);
    const Fd accepted(poll.ring.finish(2));
    CHECK(accepted == number);
    CHECK(poll.ring.finish(1) == -ECANCELED);
}

TEST_CASE("PollKernel: receives on 1000 descriptors each get their own bytes") {
    constexpr std::uint64_t kPairs = 1000;
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit raised{std::min<rlim_t>(limit.rlim_max, 4096), limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &raised) == 0);
    {
        Poll poll;
        std::vector<SocketPair> pairs;
        std::vector<std::uint32_t> received(kPairs);
        for (std::uint64_t i = 0; i < kPairs; ++i) {
            pairs.push_back(unix_pair());
            io_uring_prep_recv(poll.ring.next(i), pairs[i].here, &received[i], 4, MSG_WAITALL);
            if (i % 50 == 0) CHECK(poll.ring.poll() == 0);
        }
        for (std::uint32_t i = 0; i < kPairs; ++i) {
            const std::uint32_t value = i * 7;
            REQUIRE(::send(pairs[kPairs - 1 - i].peer, &value, 4, 0) == 4);
        }
        for (std::uint64_t i = 0; i < kPairs; ++i) {
            CHECK(poll.ring.finish(i) == 4);
            CHECK(received[i] == (kPairs - 1 - i) * 7);
        }
    }
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_CASE("PollKernel: the constructor fails without a free descriptor and names the limit") {
    // Inspected only when descriptors are available again: the undefined-behaviour sanitizer needs
    // some to check an object's type.
    std::exception_ptr failure;
    {
        const NoDescriptors none;
        try {
            const PollKernel kernel(test_options(), "for a test");
        } catch (...) {
            failure = std::current_exception();
        }
    }
    REQUIRE(failure);
    try {
        std::rethrow_exception(failure);
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::too_many_files_open);
        CHECK(std::string(error.what()).find("RLIMIT_NOFILE") != std::string::npos);
    }
}

TEST_CASE(
    "PollKernel: a close cancels the pending operations if no descriptor is free to keep the "
    "file") {
    Poll poll;
    SocketPair pair = unix_pair();
    char into[8];
    io_uring_prep_recv(poll.ring.next(1), pair.here, into, sizeof into, 0);
    io_uring_prep_poll_add(poll.ring.next(2), pair.here, POLLRDHUP);
    CHECK(poll.ring.poll() == 0);
    {
        const NoDescriptors none;
        CHECK(poll.kernel.close(pair.here.release()) == 0);
    }
    CHECK(poll.ring.finish(1) == -ECANCELED);
    CHECK(poll.ring.finish(2) == -ECANCELED);
    CHECK(::recv(pair.peer, into, 1, 0) == 0);
}

TEST_CASE("PollKernel: a connect to a full queue fails if no descriptor is free for the timer") {
    Poll poll;
    FullListener full;
    {
        const NoDescriptors none;
        full.connect(poll.ring.next(1));
        CHECK(poll.ring.finish(1) == -EAGAIN);
    }
    full.connect(poll.ring.next(2));
    CHECK(poll.ring.poll() == 0);
    full.make_room();
    CHECK(poll.ring.finish(2) == 0);
}

TEST_CASE("PollKernel: poll_fd() is readable when a unix listener's queue has room") {
    Poll poll;
    FullListener full;
    full.connect(poll.ring.next(1));
    CHECK(poll.ring.poll() == 0);
    full.make_room();
    while (poll.ring.poll() == 0) {
        pollfd entry{poll.kernel.poll_fd(), POLLIN, 0};
        REQUIRE(::poll(&entry, 1, 10'000) == 1);
    }
    CHECK(poll.ring.finish(1) == 0);
    // No operation waits for room any more, so the set stays quiet.
    CHECK(poll.ring.enter(1, Clock::now() + std::chrono::milliseconds(10)) == -ETIME);
    pollfd entry{poll.kernel.poll_fd(), POLLIN, 0};
    CHECK(::poll(&entry, 1, 0) == 0);
}

TEST_CASE(
    "PollKernel: a connect to a full queue can be cancelled, and survives a close of its "
    "descriptor") {
    Poll poll;
    FullListener full;
    full.connect(poll.ring.next(1));
    CHECK(poll.ring.poll() == 0);
    io_uring_prep_cancel64(poll.ring.next(2), 1, 0);
    CHECK(poll.ring.finish(2) == 0);
    CHECK(poll.ring.finish(1) == -ECANCELED);
    full.connect(poll.ring.next(3));
    CHECK(poll.ring.poll() == 0);
    CHECK(poll.kernel.close(full.waiting.release()) == 0);
    CHECK(poll.ring.poll() == 0);
    full.make_room();
    CHECK(poll.ring.finish(3) == 0);
}

TEST_CASE("PollKernel: a pending datagram keeps a copy of its destination") {
    Poll poll;
    const SocketPair pair = unix_pair(SOCK_DGRAM);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    socklen_t size = sizeof to;
    REQUIRE(::bind(pair.peer, reinterpret_cast<sockaddr*>(&to), sizeof(sa_family_t)) == 0);
    REQUIRE(::getsockname(pair.peer, reinterpret_cast<sockaddr*>(&to), &size) == 0);
    fill(pair.here);
    char text[] = "late";
    iovec entry{text, 4};
    msghdr header{};
    header.msg_name = &to;
    header.msg_namelen = size;
    header.msg_iov = &entry;
    header.msg_iovlen = 1;
    io_uring_prep_sendmsg(poll.ring.next(1), pair.here, &header, 0);
    CHECK(poll.ring.poll() == 0);
    header = msghdr{};
    entry = iovec{};
    to = sockaddr_un{};
    std::string last;
    while (!poll.ring.done(1)) {
        last = read_available(pair.peer, 1);
        REQUIRE_FALSE(last.empty());
        poll.ring.poll();
    }
    CHECK(poll.ring.finish(1) == 4);
    char into[16];
    ssize_t received = 0;
    ssize_t next = 0;
    while ((next = ::recv(pair.peer, into, sizeof into, MSG_DONTWAIT)) > 0)
        received = next;
    CHECK(std::string(into, static_cast<std::size_t>(received)) == "late");
}

}  // namespace uaio::test::poll_kernel_descriptor_test
