// Cancels by raw entries, with the same results on every kernel of this machine.
#include "tests/engine/kernel/ring_driver.h"

#include <poll.h>

#include <random>

namespace uaio::test::kernel_cancel_test {

TEST_CASE("kernels: a cancel finds an operation that was submitted before it in the same batch") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        char into[8];
        io_uring_prep_recv(ring.next(1), pair.here, into, sizeof into, 0);
        io_uring_prep_cancel64(ring.next(2), 1, 0);
        CHECK(ring.finish(2) == 0);
        CHECK(ring.finish(1) == -ECANCELED);
        REQUIRE(::send(pair.peer, "kept", 4, 0) == 4);
        CHECK(read_available(pair.here) == "kept");
    });
}

TEST_CASE("kernels: a cancel of a completed, later or unknown operation finds nothing") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        char into[8];
        ring.next(1);
        io_uring_prep_cancel64(ring.next(2), 1, 0);
        io_uring_prep_cancel64(ring.next(3), 4, 0);
        io_uring_prep_recv(ring.next(4), pair.here, into, sizeof into, 0);
        io_uring_prep_cancel64(ring.next(5), 99, 0);
        CHECK(ring.finish(2) == -ENOENT);
        CHECK(ring.finish(3) == -ENOENT);
        CHECK(ring.finish(5) == -ENOENT);
        CHECK(ring.finish(1) == 0);
        CHECK_FALSE(ring.done(4));
        io_uring_prep_cancel64(ring.next(6), 99, IORING_ASYNC_CANCEL_ALL);
        CHECK(ring.finish(6) == 0);
        CHECK_FALSE(ring.done(4));
    });
}

TEST_CASE("kernels: a cancel of all operations ends the pending ones and returns their number") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair one = unix_pair();
        const SocketPair two = unix_pair();  // stays full: no late acknowledgement frees room
        const Fd listener = tcp_listener();
        fill(two.here);
        char into[8];
        io_uring_prep_recv(ring.next(1), one.here, into, sizeof into, 0);
        io_uring_prep_recv(ring.next(2), one.here, into, sizeof into, 0);
        io_uring_prep_send(ring.next(3), two.here, "x", 1, 0);
        io_uring_prep_recv(ring.next(4), two.here, into, sizeof into, 0);
        io_uring_prep_accept(ring.next(5), listener, nullptr, nullptr, 0);
        io_uring_prep_poll_add(ring.next(6), one.here, POLLIN);
        CHECK(ring.poll() == 0);
        io_uring_prep_cancel64(ring.next(7), 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        CHECK(ring.finish(7) == 6);
        for (std::uint64_t i = 1; i <= 6; ++i)
            CHECK(ring.finish(i) == -ECANCELED);
        io_uring_prep_cancel64(ring.next(8), 0, IORING_ASYNC_CANCEL_ANY);
        CHECK(ring.finish(8) == 0);
    });
}

TEST_CASE("kernels: a cancel by descriptor ends one of its operations, or all") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        const SocketPair other = unix_pair();
        char into[8];
        for (std::uint64_t i = 1; i <= 3; ++i) {
            io_uring_prep_recv(ring.next(i), pair.here, into, sizeof into, 0);
        }
        io_uring_prep_recv(ring.next(4), other.here, into, sizeof into, 0);
        CHECK(ring.poll() == 0);
        io_uring_prep_cancel_fd(ring.next(5), pair.here, 0);
        CHECK(ring.finish(5) == 0);
        ring.poll();
        CHECK(ring.done(1) + ring.done(2) + ring.done(3) == 1);
        io_uring_prep_cancel_fd(ring.next(6), pair.here, IORING_ASYNC_CANCEL_ALL);
        CHECK(ring.finish(6) == 2);
        for (std::uint64_t i = 1; i <= 3; ++i)
            CHECK(ring.finish(i) == -ECANCELED);
        io_uring_prep_cancel_fd(ring.next(7), pair.here, 0);
        CHECK(ring.finish(7) == -ENOENT);
        CHECK_FALSE(ring.done(4));
    });
}

TEST_CASE("kernels: a cancel with contradictory flags is refused") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        io_uring_prep_cancel_fd(ring.next(1), pair.here, IORING_ASYNC_CANCEL_ANY);
        io_uring_prep_cancel64(ring.next(2), 0, 1 << 20);
        CHECK(ring.finish(1) == -EINVAL);
        CHECK(ring.finish(2) == -EINVAL);
    });
}

TEST_CASE("kernels: an operation behind a cancelled one continues") {
    on_each_kernel([](RingDriver& ring, Kernel&) {
        const SocketPair pair = unix_pair();
        char first[8], second[8];
        io_uring_prep_recv(ring.next(1), pair.here, first, sizeof first, 0);
        io_uring_prep_recv(ring.next(2), pair.here, second, sizeof second, 0);
        io_uring_prep_cancel64(ring.next(3), 1, 0);
        CHECK(ring.finish(3) == 0);
        CHECK(ring.finish(1) == -ECANCELED);
        REQUIRE(::send(pair.peer, "on", 2, 0) == 2);
        CHECK(ring.finish(2) == 2);
    });
}

// One direction of a stream under random sends, cancels and reads; the peer compares the bytes.
class RandomStream {
public:
    RandomStream(RingDriver& ring, std::uint32_t seed) : ring_(ring), random_(seed) {
        // Small buffers, so that sends wait for room and a cancel finds them.
        const int size = 32 * 1024;
        REQUIRE(::setsockopt(pair_.here, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
        REQUIRE(::setsockopt(pair_.peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
    }

    void run(unsigned operations) {
        for (unsigned i = 0; i < operations; ++i) {
            const int result = one_send(next_id_);
            next_id_ += 2;
            REQUIRE((result >= 0 || result == -ECANCELED));
            if (result == -ECANCELED) ++withdrawn_;
            if (result > 0) sent_ += bytes_.substr(0, static_cast<std::size_t>(result));
            if (below(4) == 0) receive();
        }
        received_ += read_to_end(pair_);
        CHECK((received_ == sent_));  // too long to print
    }

    // Counts sends that a cancel ended before their first byte, and in their middle.
    unsigned withdrawn() const { return withdrawn_; }
    unsigned cut() const { return cut_; }

private:
    std::size_t below(std::size_t limit) { return random_() % limit; }
    void receive(std::size_t limit = SIZE_MAX) { received_ += read_available(pair_.peer, limit); }

    int one_send(std::uint64_t id) {
        bytes_ = pattern(1 + below(below(2) ? 400'000 : 2'000), static_cast<unsigned>(id));
        const std::size_t cut = below(bytes_.size());
        iovec list[] = {{bytes_.data(), cut}, {bytes_.data() + cut, bytes_.size() - cut}};
        msghdr header{};
        header.msg_iov = list;
        header.msg_iovlen = 2;
        const unsigned flags = below(3) ? MSG_WAITALL : 0;
        io_uring_prep_sendmsg(ring_.next(id), pair_.here, &header, flags | MSG_NOSIGNAL);
        if (below(3) == 0) ring_.poll();
        for (std::size_t reads = below(4); reads > 0; --reads) {
            receive(1 + below(100'000));
            if (below(2)) ring_.poll();
        }
        if (below(2)) {
            const bool found = cancel(id);
            const int sent = ring_.finish(id);
            if (found && sent > 0 && static_cast<std::size_t>(sent) < bytes_.size()) ++cut_;
            return sent;
        }
        while (ring_.poll(), !ring_.done(id))
            receive();
        return ring_.finish(id);
    }

    // True if the cancel found the send. No cancel finds a send that the kernel is about to retry
    // (__io_arm_poll_handler() in its io_uring/poll.c returns IO_APOLL_READY), and that send may
    // still wait for room afterwards.
    bool cancel(std::uint64_t id) {
        const Clock::time_point end = Clock::now() + kPatience;
        for (;;) {
            io_uring_prep_cancel64(ring_.next(id + 1), id, 0);
            const int result = ring_.finish(id + 1);
            if (result == 0) return true;
            REQUIRE(result == -ENOENT);
            if (ring_.done(id)) return false;
            REQUIRE(Clock::now() < end);
        }
    }

    RingDriver& ring_;
    std::minstd_rand random_;
    SocketPair pair_ = tcp_pair();
    std::uint64_t next_id_ = 1;
    std::string bytes_, sent_, received_;
    unsigned withdrawn_ = 0;
    unsigned cut_ = 0;
};

TEST_CASE("kernels: no byte is lost or sent twice under random sends and cancels") {
    on_each_kernel([](RingDriver& ring, Kernel& kernel) {
        if (!has_send_waitall(kernel)) return;
        unsigned withdrawn = 0;
        unsigned cut = 0;
        for (std::uint32_t seed = 1; seed <= 10; ++seed) {
            CAPTURE(seed);
            RandomStream stream(ring, seed);
            stream.run(100);
            withdrawn += stream.withdrawn();
            cut += stream.cut();
        }
        CHECK(withdrawn > 0);
        CHECK(cut > 0);
    });
}

}  // namespace uaio::test::kernel_cancel_test
