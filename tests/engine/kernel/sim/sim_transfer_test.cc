// Sends and receives of the simulated kernel: distribution of bytes, and access to memory.
#include <uaio/sim.h>

#include "engine/kernel/sim/sim_kernel.h"
#include "tests/engine/kernel/sim/sim_driver.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace uaio::sim_transfer_test {

constexpr std::size_t kWindow = 1000;
const std::string kLarge(10 * kWindow, 'x');

// A connection whose peer reads nothing, and the descriptor of the near end.
struct Blocked {
    explicit Blocked(const Faults& faults = {.window = kWindow}, std::uint64_t seed = 1)
        : kernel(seed, faults), driver(kernel_of(kernel)) {
        const int listener = driver.listen(AF_INET);
        peer = &kernel.connect_peer(driver.port_of(listener));
        fd = driver.accept(listener);
        driver.kernel().close(listener);
        peer->read_nothing();
    }

    // Reads the rest; returns how much the peer got.
    std::size_t peer_got() {
        peer->read_everything();
        kernel.advance({});
        return peer->received().size();
    }

    SimKernel kernel;
    SimDriver driver;
    SimPeer* peer = nullptr;
    int fd = -1;
};

using Completions = std::vector<SimCompletion>;

TEST_CASE("sim waitall: a plain send completes at once with what fits, before a cancel") {
    Blocked test;
    test.driver.send(1, test.fd, kLarge);
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{1, kWindow, 0}, {2, -ENOENT, 0}});
    CHECK(test.peer_got() == kWindow);
}

TEST_CASE("sim waitall: a plain send into a full socket is cancelled with nothing sent") {
    Blocked test;
    test.driver.fill(test.fd);
    test.driver.send(1, test.fd, kLarge);
    test.driver.settle();
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{2, 0, 0}, {1, -ECANCELED, 0}});
    CHECK(test.peer_got() == kWindow);
}

TEST_CASE("sim waitall: a cancelled send with MSG_WAITALL returns its exact count") {
    Blocked test;
    test.driver.send(1, test.fd, kLarge, MSG_WAITALL);
    CHECK(test.driver.settle().empty());
    SUBCASE("by user data") {
        test.driver.cancel(2, 1);
        CHECK(test.driver.settle() == Completions{{2, 0, 0}, {1, kWindow, 0}});
    }
    SUBCASE("by descriptor, all of it") {
        test.driver.submit(2, [&](io_uring_sqe* sqe) {
            io_uring_prep_cancel_fd(sqe, test.fd, IORING_ASYNC_CANCEL_ALL);
        });
        CHECK(test.driver.settle() == Completions{{2, 1, 0}, {1, kWindow, 0}});
    }
    CHECK(test.peer_got() == kWindow);
    CHECK(test.kernel.bytes_sent(test.fd) == kWindow);
}

TEST_CASE(
    "sim waitall: a send with MSG_WAITALL into a full socket is cancelled with nothing sent") {
    Blocked test;
    test.driver.fill(test.fd);
    test.driver.send(1, test.fd, kLarge, MSG_WAITALL);
    test.driver.settle();
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{2, 0, 0}, {1, -ECANCELED, 0}});
}

TEST_CASE("sim waitall: a reset ends a send with its count, and the next one with an error") {
    Blocked test;
    test.driver.send(1, test.fd, kLarge, MSG_WAITALL);
    test.driver.settle();
    test.peer->reset();
    CHECK(test.driver.settle() == Completions{{1, kWindow, 0}});
    CHECK(test.driver.send_now(test.fd, "more") == -EPIPE);
}

TEST_CASE("sim waitall: a kernel before 6.1 does not return the count of a cancelled send") {
    Blocked test({.no_waitall = true, .window = kWindow});
    test.driver.send(1, test.fd, kLarge, MSG_WAITALL);
    test.driver.settle();
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{2, 0, 0}, {1, -ECANCELED, 0}});
    CHECK(test.peer_got() == kWindow);
}

TEST_CASE("sim waitall: a send continues as the peer reads") {
    Blocked test;
    test.driver.send(1, test.fd, kLarge, MSG_WAITALL);
    for (std::size_t read = 0; read < 9 * kWindow; read += kWindow) {
        CHECK(test.driver.settle().empty());
        test.peer->read_more(kWindow);
    }
    CHECK(test.driver.settle() == Completions{{1, 10 * kWindow, 0}});
    CHECK(test.peer_got() == kLarge.size());
    CHECK(test.peer->received() == kLarge);
}

TEST_CASE("sim transfer: two concurrent sends with MSG_WAITALL interleave their bytes") {
    Blocked test;
    const std::string one(3 * kWindow, '1');
    const std::string two(3 * kWindow, '2');
    test.driver.send(1, test.fd, one, MSG_WAITALL);
    test.driver.send(2, test.fd, two, MSG_WAITALL);
    for (int i = 0; i < 6; ++i) {
        test.driver.settle();
        test.peer->read_more(kWindow);
    }
    test.driver.settle();
    const std::string& got = test.peer->received();
    CHECK(got.size() == 6 * kWindow);
    CHECK(got != one + two);
    CHECK(std::ranges::count(got, '1') == 3 * static_cast<long>(kWindow));
}

TEST_CASE("sim transfer: a send gathers an iovec list in order, and a receive scatters in order") {
    Blocked test;
    char first[] = "one ";
    char second[] = "two";
    iovec out[] = {{first, 4}, {nullptr, 0}, {second, 3}};
    msghdr header{};
    header.msg_iov = out;
    header.msg_iovlen = 3;
    CHECK(test.driver.call([&](io_uring_sqe* sqe) {
        io_uring_prep_sendmsg(sqe, test.fd, &header, MSG_NOSIGNAL);
    }) == 7);
    CHECK(test.peer_got() == 7);
    CHECK(test.peer->received() == "one two");

    test.peer->send("abcdefg");
    char in[2][5] = {};
    iovec parts[] = {{in[0], 4}, {in[1], 4}};
    header.msg_iov = parts;
    header.msg_iovlen = 2;
    header.msg_flags = 0x55;
    CHECK(test.driver.call(
              [&](io_uring_sqe* sqe) { io_uring_prep_recvmsg(sqe, test.fd, &header, 0); }) == 7);
    CHECK(std::string(in[0]) == "abcd");
    CHECK(std::string(in[1]) == "efg");
    CHECK(header.msg_flags == 0);
}

TEST_CASE("sim transfer: msghdr and iovec list are copied when the SQE is taken") {
    Blocked test;
    char bytes[] = "abc";
    iovec entry{bytes, 3};
    msghdr header{};
    header.msg_iov = &entry;
    header.msg_iovlen = 1;
    test.driver.fill(test.fd);
    test.driver.submit(
        1, [&](io_uring_sqe* sqe) { io_uring_prep_sendmsg(sqe, test.fd, &header, MSG_NOSIGNAL); });
    test.driver.enter(0);
    std::memset(&header, 0xff, sizeof header);
    entry = {};
    test.peer->read_everything();
    CHECK(test.driver.settle() == Completions{{1, 3, 0}});
}

TEST_CASE(
    "sim transfer: a send reads its bytes when it sends them, a receive writes them when it "
    "completes") {
    Blocked test;
    test.driver.fill(test.fd);
    std::string late = "before";
    test.driver.send(1, test.fd, late);
    test.driver.settle();
    late = "after!";
    test.peer_got();
    CHECK(test.driver.settle() == Completions{{1, 6, 0}});
    CHECK(test.peer->received().substr(kWindow) == "after!");

    char bytes[4] = "...";
    test.peer->send("abc");
    test.driver.receive(2, test.fd, bytes, 3);
    test.kernel.at_step(test.kernel.steps() + 1, {});
    test.driver.enter(1);
    CHECK(std::string(bytes) == "...");
    CHECK(test.driver.settle() == Completions{{2, 3, 0}});
    CHECK(std::string(bytes) == "abc");
}

TEST_CASE("sim transfer: a script sets the exact lengths of sends and receives") {
    Blocked test({.window = 100000});
    test.kernel.script_send_lengths({3, 0, 5});
    CHECK(test.driver.send_now(test.fd, "abcdefghij", MSG_WAITALL) == 3);
    CHECK(test.driver.send_now(test.fd, "abcdefghij") == 5);
    CHECK(test.driver.send_now(test.fd, "abcdefghij") == 10);
    char bytes[10];
    test.peer->send("0123456789");
    test.kernel.script_receive_lengths({1, 100});
    CHECK(test.driver.receive_now(test.fd, bytes, 5, MSG_WAITALL) == 1);
    CHECK(test.driver.receive_now(test.fd, bytes, 5) == 5);
    CHECK(test.driver.receive_now(test.fd, bytes, 10) == 4);
    CHECK(test.kernel.counters().scripted == 4);
}

TEST_CASE("sim transfer: a script sets which operation fails, and its error") {
    Blocked test({.window = 100000});
    test.kernel.script_error(SimCall::send, EHOSTUNREACH, 1);
    test.kernel.script_error(SimCall::send, EIO);
    CHECK(test.driver.send_now(test.fd, "a") == 1);
    CHECK(test.driver.send_now(test.fd, "a") == -EHOSTUNREACH);
    CHECK(test.driver.send_now(test.fd, "a") == -EIO);
    CHECK(test.driver.send_now(test.fd, "a") == 1);
    test.kernel.script_error(SimCall::set_option, ENOPROTOOPT);
    const int on = 1;
    Kernel& calls = test.driver.kernel();
    CHECK(calls.set_option(test.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == -ENOPROTOOPT);
    CHECK(calls.set_option(test.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
}

TEST_CASE("sim transfer: a discarding receive consumes what has arrived and returns the end") {
    Blocked test;
    Kernel& calls = test.driver.kernel();
    CHECK(calls.discard_received(test.fd, 100) == -EAGAIN);
    test.peer->send("abcdef");
    test.driver.enter(0);
    CHECK(calls.discard_received(test.fd, 4) == 4);
    test.peer->shutdown_write();
    CHECK(calls.discard_received(test.fd, 4) == 2);
    CHECK(calls.discard_received(test.fd, 4) == 0);
    CHECK(calls.discard_received(-1, 4) == -EBADF);
}

// --- Zero copy ---

void send_zero_copy(Blocked& test, std::uint64_t user_data, std::string_view bytes,
                    unsigned usage = 0) {
    test.driver.submit(user_data, [&](io_uring_sqe* sqe) {
        io_uring_prep_send_zc(sqe, test.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_WAITALL,
                              usage);
    });
}

constexpr unsigned kMore = IORING_CQE_F_MORE;
constexpr unsigned kNotification = IORING_CQE_F_NOTIF;
constexpr unsigned kReportUsage = 1u << 3;

TEST_CASE("sim zero copy: the notification waits until the peer has read the last byte") {
    Blocked test;
    auto bytes = std::make_unique<std::string>("abcdef");
    send_zero_copy(test, 1, *bytes);
    CHECK(test.driver.settle() == Completions{{1, 6, kMore}});
    CHECK(test.kernel.pending_operations() == 1);
    test.peer->read_more(5);
    CHECK(test.driver.settle().empty());
    // The kernel still uses this memory: the peer reads the change.
    bytes->back() = '!';
    test.peer->read_more(1);
    CHECK(test.driver.settle() == Completions{{1, 0, kNotification}});
    CHECK(test.peer->received() == "abcde!");
    bytes.reset();
    CHECK(test.kernel.pending_operations() == 0);
}

TEST_CASE(
    "sim zero copy: a send cancelled half-way completes with its count before its notification") {
    Blocked test;
    send_zero_copy(test, 1, kLarge);
    CHECK(test.driver.settle().empty());
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{2, 0, 0}, {1, kWindow, kMore}});
    // A notification cannot be cancelled.
    test.driver.cancel(2, 1);
    CHECK(test.driver.settle() == Completions{{2, -ENOENT, 0}});
    CHECK(test.peer_got() == kWindow);
    CHECK(test.driver.settle() == Completions{{1, 0, kNotification}});
}

TEST_CASE("sim zero copy: the notification follows a close when the peer closes") {
    Blocked test;
    send_zero_copy(test, 1, "abcdef");
    test.driver.settle();
    test.driver.kernel().close(test.fd);
    CHECK(test.driver.settle().empty());
    test.peer->close();
    CHECK(test.driver.settle() == Completions{{1, 0, kNotification}});
}

TEST_CASE("sim zero copy: SENDMSG_ZC sends an iovec list") {
    Blocked test;
    char first[] = "one ";
    char second[] = "two";
    iovec out[] = {{first, 4}, {second, 3}};
    msghdr header{};
    header.msg_iov = out;
    header.msg_iovlen = 2;
    test.driver.submit(1, [&](io_uring_sqe* sqe) {
        io_uring_prep_sendmsg_zc(sqe, test.fd, &header, MSG_NOSIGNAL);
    });
    CHECK(test.driver.settle() == Completions{{1, 7, kMore}});
    CHECK(test.peer_got() == 7);
    CHECK(test.peer->received() == "one two");
    CHECK(test.driver.settle() == Completions{{1, 0, kNotification}});
}

TEST_CASE("sim zero copy: the notification reports a copy if IORING_SEND_ZC_REPORT_USAGE is set") {
    Blocked test({.zero_copy_copied = 1000, .window = kWindow});
    send_zero_copy(test, 1, "abc");
    CHECK(test.driver.settle() == Completions{{1, 3, kMore}, {1, 0, kNotification}});
    send_zero_copy(test, 2, "abc", kReportUsage);
    const int copied = static_cast<int>(1u << 31);
    CHECK(test.driver.settle() == Completions{{2, 3, kMore}, {2, copied, kNotification}});
}

TEST_CASE("sim zero copy: a send is refused with and without a notification") {
    for (const unsigned single : {0u, 1000u}) {
        Faults faults{.zero_copy_no_memory = 1000, .zero_copy_single = single};
        Blocked memory(faults);
        send_zero_copy(memory, 1, "abc");
        const Completions one = {{1, -ENOMEM, 0}};
        const Completions both = {{1, -ENOMEM, kMore}, {1, 0, kNotification}};
        CHECK(memory.driver.settle() == (single ? one : both));
        CHECK(memory.kernel.pending_operations() == 0);
    }
    Blocked refused({.zero_copy_refused = 1000});
    send_zero_copy(refused, 1, "abc");
    CHECK(refused.driver.settle() == Completions{{1, -EOPNOTSUPP, kMore}, {1, 0, kNotification}});
    Blocked older({.no_zero_copy = true});
    send_zero_copy(older, 1, "abc");
    CHECK(older.driver.settle() == Completions{{1, -EINVAL, 0}});
}

}  // namespace uaio::sim_transfer_test
