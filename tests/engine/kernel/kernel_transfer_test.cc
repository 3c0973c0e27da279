// Transfers by raw entries, with the same results on every kernel of this machine.
#include "tests/engine/kernel/ring_driver.h"

#include <poll.h>

#include <array>
#include <cstring>
#include <numeric>

namespace uaio::test::kernel_transfer_test {

// An iovec list over `bytes` with entries of different sizes, an empty one among them.
std::vector<iovec> scattered(std::string& bytes, std::size_t entries) {
    std::vector<iovec> list(entries);
    std::size_t from = 0;
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t fair = bytes.size() / entries;
        const std::size_t size = i + 1 == entries ? bytes.size() - from : i == 1 ? 0 : fair;
        list[i] = {bytes.data() + from, size};
        from += size;
    }
    return list;
}

// Sends `size` bytes with MSG_WAITALL over `pair`, none of which the peer has read yet, so that the
// send is in flight and blocked.
void start_stuck_send(RingDriver& ring, const SocketPair& pair, const std::string& bytes) {
    io_uring_prep_send(ring.next(1), pair.here, bytes.data(), bytes.size(), MSG_WAITALL);
    CHECK(ring.poll() == 0);
}

TEST_CASE("kernels: no-operations complete in order") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        for (std::uint64_t i = 0; i < 10; ++i)
            ring.next(i);
        CHECK(ring.enter(10) == 0);
        const std::vector<Completion> completions = ring.take();
        REQUIRE(completions.size() == 10);
        for (std::uint64_t i = 0; i < 10; ++i) {
            CHECK(completions[i].user_data == i);
            CHECK(completions[i].result == 0);
            CHECK(completions[i].flags == 0);
        }
    });
}

TEST_CASE("kernels: a receive waits for bytes, and a send with free buffer space does not wait") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        for (const SocketPair& pair : {unix_pair(), tcp_pair()}) {
            char into[64] = {};
            io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, 0);
            CHECK(ring.poll() == 0);
            io_uring_prep_send(ring.next(2), pair.peer, "hello", 5, 0);
            CHECK(ring.finish(2) == 5);
            CHECK(ring.finish(1) == 5);
            CHECK(std::string(into) == "hello");
        }
    });
}

TEST_CASE("kernels: one send gathers an iovec list, and one receive scatters into one") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = tcp_pair();
        char one[] = "one ", two[] = "and two";
        iovec out[] = {{one, 4}, {nullptr, 0}, {two, 7}};
        msghdr send{};
        send.msg_iov = out;
        send.msg_iovlen = 3;
        char first[6] = {}, second[10] = {};
        iovec in[] = {{first, 5}, {second, 9}};
        msghdr receive{};
        receive.msg_iov = in;
        receive.msg_iovlen = 2;
        io_uring_prep_recvmsg(ring.next(1), pair.peer, &receive, 0);
        io_uring_prep_sendmsg(ring.next(2), pair.here, &send, 0);
        CHECK(ring.finish(2) == 11);
        CHECK(ring.finish(1) == 11);
        CHECK(std::string(first) == "one a");
        CHECK(std::string(second) == "nd two");
    });
}

TEST_CASE("kernels: msghdr, iovec list and address may be reused after enter") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        for (const std::size_t entries : {1u, 3u, 8u, 9u, 100u, 1024u}) {
            CAPTURE(entries);
            const SocketPair pair = unix_pair();
            std::string into(4096, '\0');
            std::vector<iovec> list = scattered(into, entries);
            msghdr header{};
            header.msg_iov = list.data();
            header.msg_iovlen = list.size();
            io_uring_prep_recvmsg(ring.next(1), pair.here, &header, MSG_WAITALL);
            CHECK(ring.poll() == 0);
            std::fill(list.begin(), list.end(), iovec{nullptr, 77});
            header = msghdr{};
            const std::string bytes = pattern(into.size());
            REQUIRE(::send(pair.peer, bytes.data(), 1000, 0) == 1000);
            CHECK(ring.poll() == 0);
            REQUIRE(::send(pair.peer, bytes.data() + 1000, 3096, 0) == 3096);
            CHECK(ring.finish(1) == 4096);
            CHECK((into == bytes));
        }
    });
}

TEST_CASE("kernels: the receive of a datagram returns its sender and MSG_TRUNC") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const Fd here = bound_socket(SOCK_DGRAM);
        const Fd peer = bound_socket(SOCK_DGRAM);
        char into[4];
        iovec entry{into, sizeof into};
        sockaddr_in from{};
        msghdr header{};
        header.msg_name = &from;
        header.msg_namelen = sizeof from;
        header.msg_iov = &entry;
        header.msg_iovlen = 1;
        io_uring_prep_recvmsg(ring.next(1), here, &header, 0);
        CHECK(ring.poll() == 0);
        sockaddr_in to = local_address(here);
        char text[] = "too long";
        iovec whole{text, 8};
        msghdr addressed{};
        addressed.msg_name = &to;
        addressed.msg_namelen = sizeof to;
        addressed.msg_iov = &whole;
        addressed.msg_iovlen = 1;
        io_uring_prep_sendmsg(ring.next(2), peer, &addressed, 0);
        CHECK(ring.finish(2) == 8);
        CHECK(ring.finish(1) == 4);
        CHECK(header.msg_namelen == sizeof from);
        CHECK(from.sin_port == local_address(peer).sin_port);
        CHECK((header.msg_flags & MSG_TRUNC) != 0);
    });
}

TEST_CASE("kernels: a send without MSG_WAITALL sends what fits and returns the count") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = tcp_pair();
        const std::string bytes = pattern(8 << 20);
        io_uring_prep_send(ring.next(1), pair.here, bytes.data(), bytes.size(), 0);
        const int sent = ring.finish(1);
        CHECK(sent > 0);
        CHECK(sent < static_cast<int>(bytes.size()));
        CHECK((read_to_end(pair) == bytes.substr(0, static_cast<std::size_t>(sent))));
    });
}

TEST_CASE("kernels: a send with MSG_WAITALL continues until all bytes are written") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        for (const std::size_t entries : {0u, 2u, 9u, 1024u}) {
            CAPTURE(entries);
            const SocketPair pair = tcp_pair();
            std::string bytes = pattern(8 << 20);
            if (entries == 0) {
                start_stuck_send(ring, pair, bytes);
            } else {
                std::vector<iovec> list = scattered(bytes, entries);
                msghdr header{};
                header.msg_iov = list.data();
                header.msg_iovlen = list.size();
                io_uring_prep_sendmsg(ring.next(1), pair.here, &header, MSG_WAITALL);
                CHECK(ring.poll() == 0);
            }
            std::string received;
            const Clock::time_point end = Clock::now() + kPatience;
            while (received.size() < bytes.size() && Clock::now() < end) {
                received += read_available(pair.peer);
                ring.poll();
            }
            CHECK(ring.finish(1) == static_cast<int>(bytes.size()));
            CHECK((received == bytes));
        }
    });
}

// Receives available bytes; counts the descriptors that come with them, and closes these.
std::size_t receive_descriptors(int fd, std::string& bytes) {
    char part[65536];
    alignas(cmsghdr) char control[256];
    iovec entry{part, sizeof part};
    std::size_t count = 0;
    for (;;) {
        msghdr header{};
        header.msg_iov = &entry;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t size = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size <= 0) return count;
        bytes.append(part, static_cast<std::size_t>(size));
        for (cmsghdr* item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
            int received = -1;
            std::memcpy(&received, CMSG_DATA(item), sizeof received);
            ::close(received);
            ++count;
        }
    }
}

TEST_CASE("kernels: a descriptor passed with a long send arrives once") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        const SocketPair pair = unix_pair();
        std::string bytes = pattern(2 << 20);
        iovec entry{bytes.data(), bytes.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr header{};
        header.msg_iov = &entry;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsghdr* const item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof(int));
        const int passed = pair.peer;
        std::memcpy(CMSG_DATA(item), &passed, sizeof passed);
        io_uring_prep_sendmsg(ring.next(1), pair.here, &header, MSG_WAITALL);
        CHECK(ring.poll() == 0);
        std::string received;
        std::size_t descriptors = 0;
        while (ring.poll() == 0)
            descriptors += receive_descriptors(pair.peer, received);
        descriptors += receive_descriptors(pair.peer, received);
        CHECK(ring.finish(1) == static_cast<int>(bytes.size()));
        CHECK((received == bytes));
        CHECK(descriptors == 1);
    });
}

TEST_CASE("kernels: a send that is cancelled half-way returns its exact count") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        const SocketPair pair = tcp_pair();
        const std::string bytes = pattern(8 << 20);
        start_stuck_send(ring, pair, bytes);
        std::string received = read_available(pair.peer, 100'000);
        ring.poll();
        io_uring_prep_cancel64(ring.next(2), 1, 0);
        CHECK(ring.finish(2) == 0);
        const int sent = ring.finish(1);
        CHECK(sent > 0);
        received += read_to_end(pair);
        CHECK((received == bytes.substr(0, static_cast<std::size_t>(sent))));
    });
}

TEST_CASE("kernels: a send into a full socket that is cancelled has sent nothing") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        for (const int flags : {0, static_cast<int>(MSG_WAITALL)}) {
            // Over TCP a late acknowledgement may free room in a full socket.
            const SocketPair pair = unix_pair();
            const std::size_t before = fill(pair.here);
            io_uring_prep_send(ring.next(1), pair.here, "never", 5, flags);
            CHECK(ring.poll() == 0);
            io_uring_prep_cancel64(ring.next(2), 1, 0);
            CHECK(ring.finish(2) == 0);
            CHECK(ring.finish(1) == -ECANCELED);
            CHECK(read_to_end(pair).size() == before);
        }
    });
}

TEST_CASE("kernels: a reset after some bytes ends a send short, and the next one fails") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        SocketPair pair = tcp_pair();
        const std::string bytes = pattern(8 << 20);
        start_stuck_send(ring, pair, bytes);
        reset_connection(pair.peer);
        const int sent = ring.finish(1);
        CHECK(sent > 0);
        CHECK(sent < static_cast<int>(bytes.size()));
        io_uring_prep_send(ring.next(2), pair.here, "more", 4, MSG_WAITALL);
        const int next = ring.finish(2);
        CHECK((next == -EPIPE || next == -ECONNRESET));
    });
}

TEST_CASE("kernels: a reset ends a pending receive, and the next receive returns 0") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        SocketPair pair = tcp_pair();
        char into[8];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, 0);
        CHECK(ring.poll() == 0);
        reset_connection(pair.peer);
        CHECK(ring.finish(1) == -ECONNRESET);
        io_uring_prep_recv(ring.next(2), pair.here, into, sizeof into, 0);
        CHECK(ring.finish(2) == 0);
    });
}

TEST_CASE("kernels: a send to a closed peer fails without a signal") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        SocketPair pair = unix_pair();
        pair.peer.reset();
        io_uring_prep_send(ring.next(1), pair.here, "x", 1, MSG_NOSIGNAL);
        CHECK(ring.finish(1) == -EPIPE);
    });
}

TEST_CASE("kernels: a receive ends with 0 when the peer has shut down its side") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = tcp_pair();
        char into[8];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, 0);
        CHECK(ring.poll() == 0);
        io_uring_prep_shutdown(ring.next(2), pair.peer, SHUT_WR);
        CHECK(ring.finish(2) == 0);
        CHECK(ring.finish(1) == 0);
        io_uring_prep_send(ring.next(3), pair.here, "yes", 3, 0);
        CHECK(ring.finish(3) == 3);
        CHECK(read_to_end(pair) == "yes");
    });
}

TEST_CASE("kernels: a receive with MSG_WAITALL ends short at the end and when it is cancelled") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        const SocketPair pair = tcp_pair();
        char into[100];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, MSG_WAITALL);
        REQUIRE(::send(pair.peer, "abc", 3, 0) == 3);
        CHECK(ring.poll() == 0);
        io_uring_prep_cancel64(ring.next(2), 1, 0);
        CHECK(ring.finish(2) == 0);
        CHECK(ring.finish(1) == 3);
        io_uring_prep_recv(ring.next(3), pair.here, into, sizeof into, MSG_WAITALL);
        REQUIRE(::send(pair.peer, "de", 2, 0) == 2);
        CHECK(ring.poll() == 0);
        REQUIRE(::shutdown(pair.peer, SHUT_WR) == 0);
        CHECK(ring.finish(3) == 2);
    });
}

TEST_CASE("kernels: a receive with MSG_WAITALL takes one datagram, not several") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair(SOCK_DGRAM);
        char into[100];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, MSG_WAITALL);
        REQUIRE(::send(pair.peer, "abc", 3, 0) == 3);
        CHECK(ring.finish(1) == 3);
    });
}

TEST_CASE("kernels: MSG_DONTWAIT fails instead of waiting") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        char into[8];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, MSG_DONTWAIT);
        CHECK(ring.finish(1) == -EAGAIN);
    });
}

TEST_CASE("kernels: malformed transfers return the errors of the system calls") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        const Fd read_end(pipe_ends[0]), write_end(pipe_ends[1]);
        char byte = 0;
        std::vector<iovec> list(1025, iovec{&byte, 1});
        msghdr header{};
        header.msg_iov = list.data();
        header.msg_iovlen = list.size();
        io_uring_prep_sendmsg(ring.next(1), pair.here, &header, 0);
        io_uring_prep_recv(ring.next(2), -1, &byte, 1, 0);
        io_uring_prep_send(ring.next(3), write_end, &byte, 1, 0);
        io_uring_prep_send(ring.next(4), pair.here, nullptr, 1, 0);
        io_uring_prep_recv(ring.next(5), pair.here, &byte, 0, 0);
        io_uring_prep_send(ring.next(6), pair.here, &byte, 0, MSG_WAITALL);
        CHECK(ring.finish(1) == -EMSGSIZE);
        CHECK(ring.finish(2) == -EBADF);
        CHECK(ring.finish(3) == -ENOTSOCK);
        CHECK(ring.finish(4) == -EFAULT);
        CHECK(ring.finish(6) == 0);
        io_uring_prep_cancel64(ring.next(7), 5, IORING_ASYNC_CANCEL_ALL);
        ring.finish(7);
        const int empty = ring.finish(5);  // a unix socket waits even to read 0 bytes
        CHECK((empty == 0 || empty == -ECANCELED));
    });
}

}  // namespace uaio::test::kernel_transfer_test
