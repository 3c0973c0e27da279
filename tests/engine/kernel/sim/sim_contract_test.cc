// The simulated kernel is useful as far as it matches a real one: every scenario here runs on both,
// and their transcripts must be the same, line by line.
#include <uaio/sim.h>

#include "engine/kernel/linux/linux_kernel.h"
#include "engine/kernel/sim/sim_kernel.h"
#include "tests/engine/kernel/sim/sim_driver.h"
#include "tests/support/kernels.h"

#include <functional>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

namespace uaio::sim_contract_test {

// The events, one per line. A size that depends on buffers is noted as none, some or all.
class Transcript {
public:
    void note(const std::string& what, std::int64_t res) {
        text_ += what + " " + std::to_string(res) + "\n";
    }
    void note_some(const std::string& what, std::int64_t res, std::int64_t total) {
        const bool some = res > 0 && res < total;
        text_ += what + " " + (some ? "some" : std::to_string(res)) + "\n";
    }
    void note(const std::string& what, const std::vector<SimCompletion>& completions,
              std::int64_t total = 0) {
        text_ += what + ":\n";
        for (const SimCompletion& completion : completions) {
            // The flags that every kernel guarantees: more completions, or a notification.
            const unsigned flags = completion.flags & (IORING_CQE_F_MORE | IORING_CQE_F_NOTIF);
            // A loopback device always copies, and reports that here.
            const std::int64_t res = flags & IORING_CQE_F_NOTIF ? 0 : completion.res;
            note_some("  " + std::to_string(completion.user_data) + "/" + std::to_string(flags),
                      res, total);
        }
    }
    const std::string& text() const noexcept { return text_; }

private:
    std::string text_;
};

using Scenario = std::function<void(SimDriver&, Transcript&, int domain)>;

void same_on_both(int domain, const Scenario& scenario) {
    std::unique_ptr<LinuxKernel> real;
    try {
        real = std::make_unique<LinuxKernel>(EngineOptions{});
    } catch (const std::system_error&) {
        return report_skip("the kernel refuses io_uring");
    }
    if (!real->features().send_waitall)
        return report_skip("the kernel is older than 6.1, which the simulated one follows");
    Transcript expected;
    SimDriver real_driver(*real);
    scenario(real_driver, expected, domain);

    SimKernel sim(1);
    Transcript found;
    SimDriver sim_driver(kernel_of(sim));
    scenario(sim_driver, found, domain);
    CHECK(found.text() == expected.text());
    CHECK(sim.pending_operations() == 0);
}

// Drops a connection visibly to the peer: by a reset, or on unix a close with unread bytes.
void drop(SimDriver& driver, int fd, int other, int domain) {
    if (domain == AF_UNIX) {
        driver.send_now(other, "unread");
    } else {
        driver.reset_on_close(fd);
    }
    driver.kernel().close(fd);
}

void close_both(SimDriver& driver, std::pair<int, int> connection) {
    driver.kernel().close(connection.first);
    driver.kernel().close(connection.second);
}

const std::string kLarge(8 << 20, 'x');
constexpr std::int64_t kLargeSize = 8 << 20;

void waitall_receive_then_drop(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.receive(1, here, bytes, sizeof bytes, MSG_WAITALL);
    driver.settle();
    driver.send_now(there, "abc");
    transcript.note("three arrived", driver.settle());
    drop(driver, there, here, domain);
    transcript.note("dropped", driver.settle());
    for (int i = 0; i < 2; ++i)
        transcript.note("next", driver.receive_now(here, bytes, 10));
    transcript.note("send", driver.send_now(here, "abc"));
    driver.kernel().close(here);
}

void bytes_before_a_drop(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.send_now(there, "abc");
    drop(driver, there, here, domain);
    for (int i = 0; i < 3; ++i)
        transcript.note("next", driver.receive_now(here, bytes, 10));
    transcript.note("send", driver.send_now(here, "abc"));
    driver.kernel().close(here);
}

void sends_after_a_drop(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    drop(driver, there, here, domain);
    for (int i = 0; i < 2; ++i)
        transcript.note("send", driver.send_now(here, "abc"));
    transcript.note("receive", driver.receive_now(here, bytes, 10));
    driver.kernel().close(here);
}

void sends_after_a_close(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.kernel().close(there);
    for (int i = 0; i < 3; ++i)
        transcript.note("send", driver.send_now(here, "abc"));
    transcript.note("receive", driver.receive_now(here, bytes, 10));
    driver.kernel().close(here);
}

void error_option_after_a_close(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.kernel().close(there);
    for (int i = 0; i < 2; ++i)
        transcript.note("receive", driver.receive_now(here, bytes, 10));
    transcript.note("send", driver.send_now(here, "abc"));
    driver.settle();
    int error = 0;
    socklen_t size = sizeof error;
    driver.kernel().get_option(here, SOL_SOCKET, SO_ERROR, &error, &size);
    transcript.note("error", error);
    transcript.note("receive", driver.receive_now(here, bytes, 10));
    driver.kernel().close(here);
}

void waitall_send_then_close(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.send(1, here, kLarge, MSG_WAITALL);
    transcript.note("blocked", driver.settle());
    driver.kernel().close(there);
    transcript.note("closed", driver.settle(), kLargeSize);
    transcript.note("send", driver.send_now(here, "abc"));
    transcript.note("receive", driver.receive_now(here, bytes, 10));
    driver.kernel().close(here);
}

void blocked_send_then_drop(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    driver.fill(here);
    driver.send(1, here, kLarge);
    transcript.note("blocked", driver.settle());
    driver.reset_on_close(there);
    driver.kernel().close(there);
    transcript.note("dropped", driver.settle());
    transcript.note("send", driver.send_now(here, "abc"));
    driver.kernel().close(here);
}

void sends_and_an_own_shutdown(SimDriver& driver, Transcript& transcript, int domain) {
    for (const bool full : {false, true}) {
        const auto connection = driver.connection(domain);
        const int here = connection.first;
        if (full) driver.fill(here);
        driver.send(1, here, kLarge, full ? 0 : MSG_WAITALL);
        transcript.note("blocked", driver.settle());
        transcript.note("shutdown", driver.kernel().shutdown(here, SHUT_WR));
        transcript.note("shut", driver.settle(), kLargeSize);
        transcript.note("send", driver.send_now(here, "abc"));
        close_both(driver, connection);
    }
}

void receives_and_an_own_shutdown(SimDriver& driver, Transcript& transcript, int domain) {
    const auto connection = driver.connection(domain);
    char bytes[10];
    driver.receive(1, connection.first, bytes, sizeof bytes);
    transcript.note("waits", driver.settle());
    transcript.note("shutdown", driver.kernel().shutdown(connection.first, SHUT_RD));
    transcript.note("shut", driver.settle());
    transcript.note("peer sends", driver.send_now(connection.second, "abc"));
    for (int i = 0; i < 2; ++i) {
        transcript.note("receive", driver.receive_now(connection.first, bytes, 10));
    }
    close_both(driver, connection);
}

void waitall_receive_stopped(SimDriver& driver, Transcript& transcript, int domain) {
    char bytes[10];
    for (const bool end : {false, true}) {
        const auto connection = driver.connection(domain);
        driver.receive(1, connection.first, bytes, sizeof bytes, MSG_WAITALL);
        driver.settle();
        driver.send_now(connection.second, "abc");
        transcript.note("three arrived", driver.settle());
        if (end) {
            driver.kernel().shutdown(connection.second, SHUT_WR);
        } else {
            driver.cancel(9, 1);
        }
        transcript.note("stopped", driver.settle(), 10);
        close_both(driver, connection);
    }
}

void nothing_to_transfer(SimDriver& driver, Transcript& transcript, int domain) {
    auto connection = driver.connection(domain);
    char bytes[10];
    driver.receive(1, connection.first, bytes, 0);
    transcript.note("empty", driver.settle());
    driver.send_now(connection.second, "abc");
    transcript.note("data", driver.settle());
    transcript.note("receive", driver.receive_now(connection.first, bytes, 0));
    close_both(driver, connection);

    connection = driver.connection(domain);
    transcript.note("idle", driver.send_now(connection.first, ""));
    driver.fill(connection.first);
    transcript.note("full", driver.send_now(connection.first, ""));
    driver.kernel().close(connection.second);
    for (int i = 0; i < 2; ++i) {
        transcript.note("closed", driver.send_now(connection.first, ""));
    }
    driver.kernel().close(connection.first);
}

void operations_without_a_connection(SimDriver& driver, Transcript& transcript, int domain) {
    char bytes[10];
    const int fd = driver.kernel().socket(domain, SOCK_STREAM, 0);
    transcript.note("send", driver.send_now(fd, "abc"));
    transcript.note("receive", driver.receive_now(fd, bytes, 10));
    transcript.note("accept", driver.accept(fd));
    transcript.note("shutdown", driver.call([fd](io_uring_sqe* sqe) {
        io_uring_prep_shutdown(sqe, fd, SHUT_WR);
    }));
    const auto close = [fd](io_uring_sqe* sqe) { io_uring_prep_close(sqe, fd); };
    transcript.note("close", driver.call(close));
    transcript.note("close", driver.call(close));
    transcript.note("receive", driver.receive_now(fd, bytes, 10));
}

void bad_memory(SimDriver& driver, Transcript& transcript, int domain) {
    const auto connection = driver.connection(domain);
    char bytes[10] = "abcdefghi";
    iovec entries[] = {{bytes, 3}, {nullptr, 5}};
    msghdr header{};
    header.msg_iov = entries;
    header.msg_iovlen = 2;
    const auto send = [&](unsigned flags) {
        return driver.call([&](io_uring_sqe* sqe) {
            io_uring_prep_sendmsg(sqe, connection.first, &header, flags | MSG_NOSIGNAL);
        });
    };
    transcript.note("second", send(0));
    transcript.note("second, all", send(MSG_WAITALL));
    std::vector<iovec> many(1025, iovec{bytes, 1});
    header.msg_iov = many.data();
    header.msg_iovlen = many.size();
    transcript.note("too many", send(0));

    driver.send_now(connection.second, "abcdef");
    header.msg_iov = entries;
    header.msg_iovlen = 2;
    transcript.note("receive", driver.call([&](io_uring_sqe* sqe) {
        io_uring_prep_recvmsg(sqe, connection.first, &header, 0);
    }));
    transcript.note("still there", driver.receive_now(connection.first, bytes, 10));
    close_both(driver, connection);
}

void not_waiting(SimDriver& driver, Transcript& transcript, int domain) {
    const auto connection = driver.connection(domain);
    char bytes[10];
    transcript.note("receive", driver.receive_now(connection.first, bytes, 10, MSG_DONTWAIT));
    driver.fill(connection.first);
    transcript.note("send", driver.send_now(connection.first, "abc", MSG_DONTWAIT));
    close_both(driver, connection);
}

void close_under_a_receive(SimDriver& driver, Transcript& transcript, int domain) {
    const auto [here, there] = driver.connection(domain);
    char bytes[10];
    driver.receive(1, here, bytes, sizeof bytes);
    driver.settle();
    driver.kernel().close(here);
    transcript.note("closed", driver.settle());
    char other[10];
    transcript.note("no end", driver.receive_now(there, other, 10, MSG_DONTWAIT));
    driver.send_now(there, "xy");
    transcript.note("swallowed", driver.settle());
    transcript.note("end", driver.receive_now(there, other, 10));
    driver.kernel().close(there);
}

void cancels(SimDriver& driver, Transcript& transcript, int domain) {
    const auto connection = driver.connection(domain);
    char bytes[3][10];
    driver.receive(1, connection.first, bytes[0], 10);
    driver.receive(1, connection.first, bytes[1], 10);
    driver.receive(2, connection.second, bytes[2], 10);
    driver.settle();
    driver.cancel(9, 1, IORING_ASYNC_CANCEL_ALL);
    transcript.note("all operations of one descriptor", driver.settle());
    for (int i = 0; i < 2; ++i) {
        driver.cancel(9, 0, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
        transcript.note("any", driver.settle());
    }
    driver.cancel(9, 1, IORING_ASYNC_CANCEL_ALL);
    transcript.note("no operation", driver.settle());
    driver.cancel(9, 1);
    transcript.note("not found", driver.settle());
    driver.fill(connection.first);
    driver.send(3, connection.first, kLarge, MSG_WAITALL);
    driver.settle();
    driver.cancel(9, 3);
    transcript.note("nothing sent", driver.settle());
    close_both(driver, connection);
}

void zero_copy(SimDriver& driver, Transcript& transcript, int domain) {
    const auto connection = driver.connection(domain);
    const auto send = [&](int fd, std::string_view bytes, int flags) {
        driver.submit(1, [=](io_uring_sqe* sqe) {
            io_uring_prep_send_zc(sqe, fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL, 0);
        });
    };
    char bytes[10];
    send(connection.first, "abc", 0);
    std::vector<SimCompletion> sent = driver.settle();
    driver.receive_now(connection.second, bytes, 10, MSG_DONTWAIT);
    const std::vector<SimCompletion> later = driver.settle();
    sent.insert(sent.end(), later.begin(), later.end());
    transcript.note("sent", sent);
    if (domain != AF_UNIX) {
        driver.fill(connection.first);
        send(connection.first, kLarge, MSG_WAITALL);
        driver.settle();
        driver.cancel(9, 1);
        transcript.note("cancelled", driver.settle());
    }
    driver.kernel().shutdown(connection.first, SHUT_WR);
    send(connection.first, "abc", 0);
    transcript.note("shut", driver.settle());
    close_both(driver, connection);
    send(connection.first, "abc", 0);
    transcript.note("closed", driver.settle());
}

void listeners(SimDriver& driver, Transcript& transcript, int domain) {
    int listener = driver.listen(domain);
    driver.submit(1, [listener](io_uring_sqe* sqe) {
        io_uring_prep_accept(sqe, listener, nullptr, nullptr, 0);
    });
    transcript.note("waits", driver.settle());
    transcript.note("shutdown", driver.kernel().shutdown(listener, SHUT_RDWR));
    transcript.note("shut", driver.settle());
    transcript.note("accept", driver.accept(listener));
    transcript.note("refused", driver.connect(domain, listener));
    driver.kernel().close(listener);

    listener = driver.listen(domain);
    int client = driver.connect(domain, listener);
    transcript.note("again", driver.call_connect(client, listener));
    driver.kernel().close(listener);
    driver.settle();
    char bytes[10];
    for (int i = 0; i < 2; ++i) {
        transcript.note("never accepted", driver.receive_now(client, bytes, 10));
    }
    transcript.note("send", driver.send_now(client, "abc"));
    driver.kernel().close(client);

    listener = driver.listen(domain);
    client = driver.connect(domain, listener);
    driver.reset_on_close(client);
    driver.kernel().close(client);
    const int accepted = driver.accept(listener);
    transcript.note("accepted after the close", accepted > 0);
    driver.kernel().close(accepted);
    driver.kernel().close(listener);
}

#define SAME_ON_BOTH(name, scenario)                         \
    TEST_CASE("SimKernel and LinuxKernel agree: " name) {    \
        SUBCASE("tcp") { same_on_both(AF_INET, scenario); }  \
        SUBCASE("unix") { same_on_both(AF_UNIX, scenario); } \
    }

SAME_ON_BOTH("a receive with MSG_WAITALL ends short at a reset", waitall_receive_then_drop)
SAME_ON_BOTH("bytes before a reset are received before the error", bytes_before_a_drop)
SAME_ON_BOTH("the first send after a reset returns its error", sends_after_a_drop)
SAME_ON_BOTH("sends after a close of the peer", sends_after_a_close)
SAME_ON_BOTH("the error option after a close of the peer", error_option_after_a_close)
SAME_ON_BOTH("a send with MSG_WAITALL hides an error behind its count", waitall_send_then_close)
SAME_ON_BOTH("a blocked send with nothing sent returns the reset", blocked_send_then_drop)
SAME_ON_BOTH("a local shutdown ends sends", sends_and_an_own_shutdown)
SAME_ON_BOTH("a local shutdown ends receives", receives_and_an_own_shutdown)
SAME_ON_BOTH("a receive with MSG_WAITALL is stopped with its count", waitall_receive_stopped)
SAME_ON_BOTH("transfers of 0 bytes", nothing_to_transfer)
SAME_ON_BOTH("operations on a socket that is not connected", operations_without_a_connection)
SAME_ON_BOTH("entries at unmapped addresses", bad_memory)
SAME_ON_BOTH("operations with MSG_DONTWAIT", not_waiting)
SAME_ON_BOTH("a close does not end a pending receive", close_under_a_receive)
SAME_ON_BOTH("cancels of one, of all and of nothing", cancels)
SAME_ON_BOTH("zero-copy sends and their notifications", zero_copy)
SAME_ON_BOTH("listeners that shut down, close and accept late", listeners)

}  // namespace uaio::sim_contract_test
