// The peers of simulated connections, and how connections are established and end.
#include <uaio/sim.h>

#include "engine/kernel/sim/sim_kernel.h"
#include "tests/engine/kernel/sim/sim_driver.h"

#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace uaio::sim_peer_test {

using std::chrono::milliseconds;
using State = SimPeer::State;

struct Connected {
    explicit Connected(const Faults& faults = {}, int domain = AF_INET)
        : kernel(1, faults), driver(kernel_of(kernel)) {
        const int listener = driver.listen(domain);
        peer = &kernel.connect_peer(driver.port_of(listener));
        fd = driver.accept(listener);
        driver.kernel().close(listener);
    }

    SimKernel kernel;
    SimDriver driver;
    SimPeer* peer = nullptr;
    int fd = -1;
};

sockaddr_un path_of(const char* path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path);
    return address;
}

int connect_to_port(SimDriver& driver, int domain, std::uint16_t port) {
    const int fd = driver.kernel().socket(domain, SOCK_STREAM, 0);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_port = htons(port);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4.sin_port = htons(port);
    const int res = driver.call([&](io_uring_sqe* sqe) {
        if (domain == AF_INET) {
            io_uring_prep_connect(sqe, fd, reinterpret_cast<sockaddr*>(&v4), sizeof v4);
        } else {
            io_uring_prep_connect(sqe, fd, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
        }
    });
    return res < 0 ? res : fd;
}

TEST_CASE("sim peer: a program receives what the peer sends, and the reverse") {
    Connected test;
    CHECK(test.peer->state() == State::connected);
    test.peer->send("hello ");
    test.peer->send("there");
    char bytes[20];
    CHECK(test.driver.receive_now(test.fd, bytes, sizeof bytes) == 11);
    CHECK(std::string(bytes, 11) == "hello there");
    CHECK(test.driver.send_now(test.fd, "answer") == 6);
    CHECK(test.peer->received() == "answer");
}

TEST_CASE("sim peer: read_nothing() and read_slowly() limit what it reads") {
    Connected test({.window = 100});
    const std::string bytes(1000, 'x');
    test.peer->read_nothing();
    test.driver.send(1, test.fd, bytes, MSG_WAITALL);
    CHECK(test.driver.settle().empty());
    CHECK(test.peer->unread() == 100);
    CHECK(test.peer->received().empty());

    test.peer->read_more(30);
    CHECK(test.driver.settle().empty());
    CHECK(test.peer->received().size() == 30);
    CHECK(test.peer->unread() == 100);

    const Clock::time_point start = test.kernel.now();
    test.peer->read_slowly(10);
    test.kernel.advance(milliseconds(5));
    CHECK(test.peer->received().size() == 80);
    CHECK(test.kernel.now() == start + milliseconds(5));

    test.peer->read_everything();
    CHECK(test.driver.settle().size() == 1);
    CHECK(test.peer->received() == bytes);
}

TEST_CASE("sim peer: set_window() limits how far the program can send ahead") {
    Connected test;
    test.peer->read_nothing();
    test.peer->set_window(7);
    CHECK(test.driver.send_now(test.fd, "0123456789") == 7);
    test.driver.send(1, test.fd, "789");
    CHECK(test.driver.settle().empty());
    test.peer->set_window(9);
    CHECK(test.driver.settle() == std::vector<SimCompletion>{{1, 2, 0}});
}

TEST_CASE("sim peer: it queues bytes beyond the window and sends its end after them") {
    Connected test({.window = 10});
    test.peer->send(std::string(25, 'x'));
    test.peer->shutdown_write();
    CHECK(test.peer->unsent() == 15);
    char bytes[100];
    CHECK(test.driver.receive_now(test.fd, bytes, 100) == 10);
    CHECK(test.driver.receive_now(test.fd, bytes, 100, MSG_WAITALL) == 15);
    CHECK(test.driver.receive_now(test.fd, bytes, 100) == 0);
    CHECK(test.driver.send_now(test.fd, "still open") == 10);
}

TEST_CASE("sim peer: it sees an end and a reset") {
    Connected ended;
    ended.driver.kernel().shutdown(ended.fd, SHUT_WR);
    ended.driver.settle();
    CHECK(ended.peer->saw_fin());
    CHECK_FALSE(ended.peer->saw_reset());
    CHECK(ended.peer->state() == State::connected);

    Connected reset;
    reset.driver.reset_on_close(reset.fd);
    reset.driver.kernel().close(reset.fd);
    CHECK(reset.peer->saw_reset());
    CHECK_FALSE(reset.peer->saw_fin());
    CHECK(reset.peer->state() == State::reset);

    Connected unread;
    unread.peer->send("never read");
    unread.driver.kernel().close(unread.fd);
    CHECK(unread.peer->saw_reset());
}

TEST_CASE("sim peer: after its close, one send succeeds and the next fails") {
    Connected test;
    test.peer->close();
    CHECK(test.peer->state() == State::closed);
    char bytes[10];
    CHECK(test.driver.receive_now(test.fd, bytes, 10) == 0);
    CHECK(test.driver.send_now(test.fd, "lost") == 4);
    CHECK(test.driver.send_now(test.fd, "refused") == -EPIPE);
    CHECK(test.peer->received().empty());
}

TEST_CASE("sim peer: a close with unread bytes resets the connection") {
    Connected test;
    test.peer->read_nothing();
    CHECK(test.driver.send_now(test.fd, "unread") == 6);
    test.peer->close();
    CHECK(test.driver.send_now(test.fd, "more") == -ECONNRESET);
    CHECK(test.driver.send_now(test.fd, "more") == -EPIPE);
}

TEST_CASE("sim peer: a send after the peer's SHUT_RD succeeds over tcp and fails over unix") {
    Connected test({.window = 10});
    test.peer->shutdown_read();
    CHECK(test.driver.send_now(test.fd, std::string(20, 'x')) == 10);
    test.driver.send(1, test.fd, "more");
    CHECK(test.driver.settle().empty());

    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const int listener = driver.kernel().socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = path_of("/run/uaio-test");
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    CHECK(driver.kernel().bind_socket(listener, generic, sizeof address) == 0);
    CHECK(driver.kernel().bind_socket(listener, generic, sizeof address) == -EINVAL);
    CHECK(driver.kernel().listen(listener, 1) == 0);
    SimPeer& peer = kernel.connect_peer("/run/uaio-test");
    const int fd = driver.accept(listener);
    peer.shutdown_read();
    CHECK(driver.send_now(fd, "more") == -EPIPE);
}

TEST_CASE("sim peer: on_receive runs outside the kernel") {
    Connected test;
    bool inside = false;
    test.peer->on_receive([&](SimPeer& peer) {
        inside = inside || SimKernel::running();
        if (peer.saw_fin()) return peer.close();
        peer.send("echo " + peer.received());
    });
    test.driver.send_now(test.fd, "hello");
    char bytes[20];
    CHECK(test.driver.receive_now(test.fd, bytes, 20) == 10);
    CHECK(std::string(bytes, 10) == "echo hello");
    test.driver.kernel().shutdown(test.fd, SHUT_WR);
    CHECK(test.driver.receive_now(test.fd, bytes, 20) == 0);
    CHECK_FALSE(inside);
}

TEST_CASE("sim peer: bytes and ends arrive in order after the latency") {
    Connected test({.delay_min = milliseconds(1), .delay_max = milliseconds(9)});
    const Clock::time_point start = test.kernel.now();
    std::string sent;
    for (char digit = '0'; digit <= '9'; ++digit) {
        test.peer->send(std::string(1, digit));
        sent += digit;
    }
    test.peer->reset();
    char bytes[20];
    CHECK(test.driver.receive_now(test.fd, bytes, 10, MSG_WAITALL) == 10);
    CHECK(std::string(bytes, 10) == sent);
    CHECK(test.kernel.now() >= start + milliseconds(1));
    CHECK(test.driver.receive_now(test.fd, bytes, 10) == -ECONNRESET);
}

TEST_CASE("sim peer: its connect to a port or path without a listener is refused") {
    SimKernel kernel(1);
    CHECK(kernel.connect_peer(80).state() == State::refused);
    CHECK(kernel.connect_peer("/no/such").state() == State::refused);
}

TEST_CASE("sim listener: a connect of either family becomes a peer") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    SimListener& listener = kernel.listen_peer();
    listener.set_window(3);
    listener.read_nothing();
    std::string greeted;
    listener.on_accept([&](SimPeer& peer) {
        peer.send("hi");
        greeted += '!';
    });
    for (const int domain : {AF_INET, AF_INET6}) {
        const int fd = connect_to_port(driver, domain, listener.port());
        REQUIRE(fd > 0);
        char bytes[10];
        CHECK(driver.receive_now(fd, bytes, 10) == 2);
        CHECK(driver.send_now(fd, "0123456789") == 3);
    }
    CHECK(greeted == "!!");
    REQUIRE(listener.peers().size() == 2);
    CHECK(listener.peers()[1]->unread() == 3);
    CHECK_THROWS_AS(kernel.listen_peer(listener.port()), std::system_error);

    listener.close();
    CHECK(connect_to_port(driver, AF_INET, listener.port()) == -ECONNREFUSED);
}

TEST_CASE("sim listener: a connect to a full backlog waits, and times out") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const int listener = driver.listen(AF_INET, 1);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    driver.kernel().local_address(listener, generic, &size);
    for (std::uint64_t i = 1; i <= 4; ++i) {
        const int fd = driver.kernel().socket(AF_INET, SOCK_STREAM, 0);
        driver.submit(i, [=](io_uring_sqe* sqe) { io_uring_prep_connect(sqe, fd, generic, size); });
    }
    using Completions = std::vector<SimCompletion>;
    CHECK(driver.settle() == Completions{{1, 0, 0}, {2, 0, 0}});
    CHECK(driver.accept(listener) > 0);
    CHECK(driver.settle() == Completions{{3, 0, 0}});
    CHECK(driver.settle(std::chrono::minutes(3)) == Completions{{4, -ETIMEDOUT, 0}});
}

TEST_CASE("sim listener: a connect that was given up does not take the place of the next one") {
    using Completions = std::vector<SimCompletion>;
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    const int first = driver.listen(AF_INET, 0);
    const int second = driver.listen(AF_INET, 0);
    const auto connect = [&driver](std::uint64_t user_data, int fd, int listener) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        driver.kernel().local_address(listener, generic, &size);
        driver.submit(user_data,
                      [=](io_uring_sqe* sqe) { io_uring_prep_connect(sqe, fd, generic, size); });
        return driver.settle();
    };
    for (const int listener : {first, second}) {
        REQUIRE(driver.connect(AF_INET, listener) > 0);  // its queue is full
    }
    const int fd = driver.kernel().socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(1, fd, first).empty());
    driver.cancel(2, 1);
    CHECK(driver.settle() == Completions{{2, 0, 0}, {1, -ECANCELED, 0}});
    CHECK(connect(3, fd, second).empty());
    CHECK(driver.accept(first) > 0);
    CHECK(driver.settle().empty());
    CHECK(driver.accept(second) > 0);
    CHECK(driver.settle() == Completions{{3, 0, 0}});
    sockaddr_in remote{};
    socklen_t size = sizeof remote;
    CHECK(driver.kernel().peer_address(fd, reinterpret_cast<sockaddr*>(&remote), &size) == 0);
    CHECK(ntohs(remote.sin_port) == driver.port_of(second));
}

TEST_CASE("sim listener: its close resets the connections that were not accepted") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    SimListener& listener = kernel.listen_peer();
    listener.set_accepting(false);
    const int fd = connect_to_port(driver, AF_INET, listener.port());
    REQUIRE(fd > 0);
    CHECK(listener.peers().empty());
    listener.close();
    CHECK(driver.send_now(fd, "x") == -ECONNRESET);
}

TEST_CASE("sim network: addresses are bound, shared and queried as by the system calls") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    Kernel& calls = driver.kernel();
    const int first = driver.listen(AF_INET);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    CHECK(calls.local_address(first, generic, &size) == 0);
    CHECK(ntohs(address.sin_port) >= 32768);
    CHECK(calls.peer_address(first, generic, &size) == -ENOTCONN);

    const int second = calls.socket(AF_INET, SOCK_STREAM, 0);
    CHECK(calls.bind_socket(second, generic, sizeof address) == -EADDRINUSE);
    const int on = 1;
    calls.set_option(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK(calls.bind_socket(second, generic, sizeof address) == -EADDRINUSE);
    for (const int fd : {first, second}) {
        calls.set_option(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    CHECK(calls.bind_socket(second, generic, sizeof address) == 0);
    CHECK(calls.bind_socket(second, generic, 3) == -EINVAL);

    const int third = calls.socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(0x0a000001);
    CHECK(calls.bind_socket(third, generic, sizeof address) == -EADDRNOTAVAIL);
    // unix(7): longer than a sockaddr_un.
    sockaddr_storage path{};
    std::memset(&path, 'x', sizeof path);
    path.ss_family = AF_UNIX;
    const int local = calls.socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(calls.bind_socket(local, reinterpret_cast<sockaddr*>(&path), sizeof path) == -EINVAL);
    CHECK(calls.bind_socket(local, reinterpret_cast<sockaddr*>(&path), sizeof(sockaddr_un)) == 0);
    CHECK(calls.listen(-1, 1) == -EBADF);
    CHECK(calls.listen(driver.connection(AF_INET).first, 1) == -EINVAL);
}

TEST_CASE("sim network: socket options are stored, and the buffer sizes set the window") {
    Connected test;
    Kernel& calls = test.driver.kernel();
    int value = 7;
    socklen_t size = sizeof value;
    CHECK(calls.set_option(test.fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value) == 0);
    CHECK(calls.get_option(test.fd, SOL_SOCKET, SO_SNDBUF, &value, &size) == 0);
    CHECK(value == 4608);
    test.peer->read_nothing();
    CHECK(test.driver.send_now(test.fd, std::string(1 << 20, 'x')) == 4608 + 128 * 1024);
    CHECK(calls.get_option(test.fd, SOL_SOCKET, SO_TYPE, &value, &size) == 0);
    CHECK(value == SOCK_STREAM);
    CHECK(calls.set_option(test.fd, SOL_SOCKET, SO_TYPE, &value, sizeof value) == -ENOPROTOOPT);
    CHECK(calls.set_option(test.fd, IPPROTO_IPV6, 1, &value, sizeof value) == -ENOPROTOOPT);
    CHECK(calls.get_option(-1, SOL_SOCKET, SO_TYPE, &value, &size) == -EBADF);
}

TEST_CASE("sim network: an accepted socket has both addresses in its own family") {
    SimKernel kernel(1);
    SimDriver driver(kernel_of(kernel));
    SimListener& server = kernel.listen_peer();
    const int fd = connect_to_port(driver, AF_INET, server.port());
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    CHECK(driver.kernel().peer_address(fd, generic, &size) == 0);
    CHECK(size == sizeof(sockaddr_in));

    const int listener = driver.listen(AF_INET6);
    const int client = driver.connect(AF_INET6, listener);
    size = 4;
    const int accepted = driver.call(
        [&](io_uring_sqe* sqe) { io_uring_prep_accept(sqe, listener, generic, &size, 0); });
    CHECK(size == sizeof(sockaddr_in6));
    size = sizeof address;
    CHECK(driver.kernel().peer_address(accepted, generic, &size) == 0);
    sockaddr_in6 own{};
    driver.kernel().local_address(client, reinterpret_cast<sockaddr*>(&own), &size);
    CHECK(own.sin6_port == address.sin6_port);
}

}  // namespace uaio::sim_peer_test
