// Operations other than transfers, by raw entries; same results on every kernel of this machine.
#include "tests/engine/kernel/ring_driver.h"
#include "tests/support/temporary_folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include <cstring>

namespace uaio::test::kernel_operation_test {

// A unix listener in its own folder.
class LocalListener {
public:
    explicit LocalListener(int backlog) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sun_family = AF_UNIX;
        folder_.at("socket").copy(address_.sun_path, sizeof address_.sun_path - 1);
        REQUIRE(::bind(fd_, address(), sizeof address_) == 0);
        REQUIRE(::listen(fd_, backlog) == 0);
    }

    int fd() const { return fd_; }
    sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }
    static constexpr socklen_t size() { return sizeof(sockaddr_un); }

private:
    TemporaryFolder folder_;
    Fd fd_;
    sockaddr_un address_{};
};

bool is_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

Fd stream_socket(int domain = AF_INET) {
    Fd fd(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(fd >= 0);
    return fd;
}

TEST_CASE("kernels: an accept waits for a connection and returns the peer's address") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const Fd listener = tcp_listener();
        sockaddr_in from{};
        socklen_t from_size = sizeof from;
        io_uring_prep_accept(ring.next(1), listener, generic(from), &from_size, SOCK_CLOEXEC);
        CHECK(ring.poll() == 0);
        const Fd client = stream_socket();
        sockaddr_in to = local_address(listener);
        io_uring_prep_connect(ring.next(2), client, generic(to), sizeof to);
        CHECK(ring.finish(2) == 0);
        const Fd accepted(ring.finish(1));
        REQUIRE(accepted >= 0);
        CHECK(from_size == sizeof from);
        CHECK(from.sin_port == local_address(client).sin_port);
        CHECK(::fcntl(accepted, F_GETFD) == FD_CLOEXEC);
        CHECK(is_blocking(accepted));
        CHECK(is_blocking(client));
    });
}

TEST_CASE("kernels: accepts and connects of one batch all complete") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        constexpr std::uint64_t kConnections = 20;
        const Fd listener = tcp_listener();
        sockaddr_in to = local_address(listener);
        std::vector<Fd> clients;
        for (std::uint64_t i = 0; i < kConnections; ++i) {
            io_uring_prep_accept(ring.next(i), listener, nullptr, nullptr, SOCK_CLOEXEC);
            clients.push_back(stream_socket());
            io_uring_prep_connect(ring.next(100 + i), clients.back(), generic(to), sizeof to);
        }
        for (std::uint64_t i = 0; i < kConnections; ++i) {
            CHECK(ring.finish(100 + i) == 0);
            CHECK(Fd(ring.finish(i)) >= 0);
        }
    });
}

TEST_CASE("kernels: a connect to a port without a listener is refused") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        sockaddr_in to = local_address(tcp_listener());  // closed again
        const Fd client = stream_socket();
        io_uring_prep_connect(ring.next(1), client, generic(to), sizeof to);
        CHECK(ring.finish(1) == -ECONNREFUSED);
        CHECK(is_blocking(client));
        // The socket is usable again.
        const Fd listener = tcp_listener();
        to = local_address(listener);
        io_uring_prep_connect(ring.next(2), client, generic(to), sizeof to);
        CHECK(ring.finish(2) == 0);
    });
}

TEST_CASE("kernels: a connect without a reply waits, and can be cancelled") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        // A full queue of one: the listener drops the handshake.
        const Fd listener = tcp_listener(0);
        sockaddr_in to = local_address(listener);
        std::vector<Fd> clients;
        for (std::uint64_t i = 0; i < 4; ++i) {
            clients.push_back(stream_socket());
            io_uring_prep_connect(ring.next(i), clients.back(), generic(to), sizeof to);
        }
        ring.poll();
        to = {};
        REQUIRE_FALSE(ring.done(3));
        CHECK(is_blocking(clients[3]));
        io_uring_prep_cancel64(ring.next(10), 3, 0);
        CHECK(ring.finish(10) == 0);
        CHECK(ring.finish(3) == -ECANCELED);
    });
}

TEST_CASE("kernels: a connect to a unix listener with a full queue waits for room") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        LocalListener listener(0);
        std::vector<Fd> clients;
        for (std::uint64_t i = 0; i < 4; ++i) {
            clients.push_back(stream_socket(AF_UNIX));
            io_uring_prep_connect(ring.next(i), clients.back(), listener.address(),
                                  LocalListener::size());
        }
        ring.poll();
        CHECK(ring.done(0));
        CHECK_FALSE(ring.done(3));
        CHECK(is_blocking(clients[0]));
        for (std::uint64_t i = 0; i < 4; ++i) {
            io_uring_prep_accept(ring.next(100 + i), listener.fd(), nullptr, nullptr, 0);
        }
        for (std::uint64_t i = 0; i < 4; ++i) {
            CHECK(ring.finish(i) == 0);
            CHECK(Fd(ring.finish(100 + i)) >= 0);
        }
    });
}

TEST_CASE("kernels: a connect to a unix path without a listener returns the errno of connect(2)") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strcpy(to.sun_path, "/tmp/uaio-kernel-missing/socket");
        const Fd client = stream_socket(AF_UNIX);
        io_uring_prep_connect(ring.next(1), client, reinterpret_cast<sockaddr*>(&to), sizeof to);
        CHECK(ring.finish(1) == -ENOENT);
    });
}

TEST_CASE("kernels: shutdown and close have the results of their system calls") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        SocketPair pair = unix_pair();
        io_uring_prep_shutdown(ring.next(1), pair.here, SHUT_WR);
        CHECK(ring.finish(1) == 0);
        CHECK(::send(pair.here, "x", 1, MSG_NOSIGNAL) == -1);
        io_uring_prep_shutdown(ring.next(2), pair.here, 77);
        CHECK(ring.finish(2) == -EINVAL);
        const int number = pair.here.release();
        io_uring_prep_close(ring.next(3), number);
        CHECK(ring.finish(3) == 0);
        CHECK(::fcntl(number, F_GETFD) == -1);
        io_uring_prep_close(ring.next(4), number);
        CHECK(ring.finish(4) == -EBADF);
    });
}

TEST_CASE("kernels: a read takes an eventfd's counter once it is not zero") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        for (const int flags : {0, static_cast<int>(EFD_NONBLOCK)}) {
            const Fd counter(::eventfd(0, EFD_CLOEXEC | flags));
            for (const std::uint64_t offset : {std::uint64_t{0}, ~std::uint64_t{0}}) {
                std::uint64_t value = 0;
                io_uring_prep_read(ring.next(1), counter, &value, sizeof value, offset);
                if (flags == 0) CHECK(ring.poll() == 0);
                const std::uint64_t five = 5;
                REQUIRE(::write(counter, &five, sizeof five) == sizeof five);
                if (flags == 0) {
                    CHECK(ring.finish(1) == sizeof value);
                    CHECK(value == 5);
                } else {
                    ring.finish(1);  // io_uring may return -EAGAIN for a non-blocking file
                }
            }
        }
    });
}

TEST_CASE("kernels: a read of a pipe waits for bytes and ends with 0") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const Fd out(ends[0]);
        Fd in(ends[1]);
        char bytes[16] = {};
        io_uring_prep_read(ring.next(1), out, bytes, sizeof bytes, 0);
        CHECK(ring.poll() == 0);
        REQUIRE(::write(in, "pipe", 4) == 4);
        CHECK(ring.finish(1) == 4);
        CHECK(std::string(bytes) == "pipe");
        io_uring_prep_read(ring.next(2), out, bytes, sizeof bytes, 0);
        CHECK(ring.poll() == 0);
        in.reset();
        CHECK(ring.finish(2) == 0);
    });
}

TEST_CASE("kernels: a read of a terminal waits for a line") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        const char* const name = ::ptsname(master);  // null without a master
        if (!name || ::grantpt(master) < 0 || ::unlockpt(master) < 0)
            return report_skip("the kernel has no terminals for this container");
        const Fd terminal(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
        if (terminal < 0) return report_skip("the container has no /dev/pts");
        char bytes[16] = {};
        io_uring_prep_read(ring.next(1), terminal, bytes, sizeof bytes, 0);
        CHECK(ring.poll() == 0);
        REQUIRE(::write(master, "line\n", 5) == 5);
        CHECK(ring.finish(1) == 5);
        CHECK(std::string(bytes) == "line\n");
    });
}

TEST_CASE("kernels: a read of a file reads the bytes at its offset") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        char name[] = "/tmp/uaio-kernel-XXXXXX";
        const Fd file(::mkstemp(name));
        REQUIRE(file >= 0);
        ::unlink(name);
        REQUIRE(::write(file, "0123456789", 10) == 10);
        // Drops it from the cache, if the file system can, so that the read would have to wait.
        REQUIRE(::fsync(file) == 0);
        REQUIRE(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
        char bytes[5] = {};
        io_uring_prep_read(ring.next(1), file, bytes, 4, 3);
        CHECK(ring.finish(1) == 4);
        CHECK(std::string(bytes) == "3456");
        io_uring_prep_read(ring.next(2), file, bytes, 4, 10);
        CHECK(ring.finish(2) == 0);
    });
}

TEST_CASE("kernels: a one-shot poll returns the ready events, and waits if there are none") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        SocketPair pair = unix_pair();
        io_uring_prep_poll_add(ring.next(1), pair.here, POLLOUT);
        CHECK(ring.finish(1) == POLLOUT);
        io_uring_prep_poll_add(ring.next(2), pair.here, POLLIN);
        CHECK(ring.poll() == 0);
        REQUIRE(::send(pair.peer, "x", 1, 0) == 1);
        CHECK(ring.finish(2) == POLLIN);
        read_available(pair.here);
        io_uring_prep_poll_add(ring.next(3), pair.here, POLLIN | POLLRDHUP);
        CHECK(ring.poll() == 0);
        pair.peer.reset();
        CHECK(ring.finish(3) == (POLLIN | POLLRDHUP | POLLHUP));
    });
}

TEST_CASE("kernels: a poll for no events, or for errors alone, ends when the connection breaks") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const Fd listener = tcp_listener();
        sockaddr_in to = local_address(listener);
        for (const unsigned events : {0u, static_cast<unsigned>(POLLERR | POLLHUP)}) {
            Fd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            REQUIRE(::connect(peer, generic(to), sizeof to) == 0);
            io_uring_prep_accept(ring.next(1), listener, nullptr, nullptr, SOCK_CLOEXEC);
            const int accepted = ring.finish(1);
            REQUIRE(accepted >= 0);
            io_uring_prep_poll_add(ring.next(2), accepted, events);
            CHECK(ring.poll() == 0);
            reset_connection(peer);
            CHECK((ring.finish(2) & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
            io_uring_prep_close(ring.next(3), accepted);
            CHECK(ring.finish(3) == 0);
        }
    });
}

TEST_CASE("kernels: polls and a receive on one descriptor complete independently") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        char into[8];
        io_uring_prep_poll_add(ring.next(1), pair.here, POLLRDHUP);
        io_uring_prep_recv(ring.next(2), pair.here, into, sizeof into, 0);
        io_uring_prep_poll_add(ring.next(3), pair.here, POLLRDHUP);
        CHECK(ring.poll() == 0);
        REQUIRE(::send(pair.peer, "x", 1, 0) == 1);
        CHECK(ring.finish(2) == 1);
        CHECK(ring.poll() == 0);
        REQUIRE(::shutdown(pair.peer, SHUT_WR) == 0);
        CHECK(ring.finish(1) == POLLRDHUP);
        CHECK(ring.finish(3) == POLLRDHUP);
    });
}

TEST_CASE(
    "kernels: IOSQE_CQE_SKIP_SUCCESS suppresses the completion of a success, not of a failure") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        io_uring_sqe* sqe = ring.next(1);
        io_uring_prep_send(sqe, pair.here, "x", 1, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe = ring.next(2);
        io_uring_prep_cancel64(sqe, 77, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        CHECK(ring.finish(2) == -ENOENT);
        CHECK(ring.poll() == 0);
        CHECK(read_available(pair.peer) == "x");
    });
}

}  // namespace uaio::test::kernel_operation_test
