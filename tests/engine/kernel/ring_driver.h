// Shared by the tests of the real kernels: a driver that fills and drains the raw rings as the
// engine does, and sockets on loopback. One thread.
#pragma once

#include "engine/kernel/linux/linux_kernel.h"
#include "engine/kernel/poll/poll_kernel.h"
#include "tests/support/kernels.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <liburing.h>

namespace uaio::test {

inline constexpr std::chrono::seconds kPatience{20};  // the timeout of every wait

struct Completion {
    std::uint64_t user_data;
    int result;
    unsigned flags;
};

class RingDriver {
public:
    explicit RingDriver(Kernel& kernel) : kernel_(kernel), ring_(kernel.ring()) {
        REQUIRE_FALSE(kernel_.bind());
    }

    // The next free entry; fill it before the next call. enter() publishes it.
    io_uring_sqe* next(std::uint64_t user_data) {
        REQUIRE(tail_ - load(ring_.sq_head) <= ring_.sq_mask);
        io_uring_sqe* const sqe = &ring_.sqes[tail_++ & ring_.sq_mask];
        io_uring_prep_nop(sqe);
        sqe->user_data = user_data;
        return sqe;
    }

    // Retries after -EINTR: an earlier test's io_uring may interrupt a wait as it ends.
    int enter(unsigned wait = 0, std::optional<Clock::time_point> deadline = {}) {
        const Clock::time_point end = deadline.value_or(Clock::now() + kPatience);
        for (;;) {
            const int result = enter_once(wait, end);
            if (result != -EINTR) return result;
        }
    }

    int enter_once(unsigned wait, Clock::time_point deadline) {
        std::atomic_ref(*ring_.sq_tail).store(tail_, std::memory_order_release);
        return kernel_.enter(wait, deadline);
    }

    // Completions in the ring now.
    std::vector<Completion> take() {
        std::vector<Completion> taken;
        unsigned head = *ring_.cq_head;
        for (; head != load(ring_.cq_tail); ++head) {
            const io_uring_cqe& cqe = ring_.cqes[head & ring_.cq_mask];
            taken.push_back({cqe.user_data, cqe.res, cqe.flags});
        }
        std::atomic_ref(*ring_.cq_head).store(head, std::memory_order_release);
        return taken;
    }

    // Enters, without waiting, and keeps the completions; returns their number.
    std::size_t poll() {
        REQUIRE(enter() == 0);
        keep();
        return results_.size();
    }

    // Enters until the operation with this user_data is done, and removes its result.
    int finish(std::uint64_t user_data) {
        const Clock::time_point end = Clock::now() + kPatience;
        for (;;) {
            if (const auto found = results_.find(user_data); found != results_.end()) {
                const int result = found->second;
                results_.erase(found);
                return result;
            }
            REQUIRE(enter(1, end) == 0);
            keep();
        }
    }

    bool done(std::uint64_t user_data) const { return results_.count(user_data) > 0; }

private:
    static unsigned load(unsigned* value) {
        return std::atomic_ref(*value).load(std::memory_order_acquire);
    }

    void keep() {
        for (const Completion& completion : take()) {
            REQUIRE(results_.emplace(completion.user_data, completion.result).second);
        }
    }

    Kernel& kernel_;
    RingView ring_;
    unsigned tail_ = 0;
    std::map<std::uint64_t, int> results_;  // kept, by user_data, each of which completes once
};

// Small rings.
inline EngineOptions test_options() {
    EngineOptions options;
    options.entries = 64;
    options.completions = 128;
    return options;
}

// Runs `body`, a void(RingDriver&, Kernel&), on a new PollKernel and then on a new io_uring: the
// engine may rely on the behaviour common to both. Reports a skip where io_uring is unavailable.
template <class Body>
void on_each_kernel(Body body) {
    const auto run = [&](std::unique_ptr<Kernel> kernel) {
        const std::string name = kernel->kind() == KernelKind::epoll ? "PollKernel" : "LinuxKernel";
        CAPTURE(name);
        RingDriver ring(*kernel);
        body(ring, *kernel);
    };
    run(std::make_unique<PollKernel>(test_options(), "for a test"));
    std::unique_ptr<Kernel> uring;
    try {
        uring = std::make_unique<LinuxKernel>(test_options());
    } catch (const std::system_error&) {
        return report_skip("the kernel refuses io_uring");
    }
    run(std::move(uring));
}

// True if sends with MSG_WAITALL last until all is sent. Otherwise reports a skip.
inline bool has_send_waitall(Kernel& kernel) {
    const bool has = kernel.features().send_waitall;
    if (!has) report_skip("the kernel is older than 6.1: MSG_WAITALL has no effect on sends");
    return has;
}

// A PollKernel, and its rings.
struct Poll {
    explicit Poll(const EngineOptions& options = test_options())
        : kernel(options, "for a test"), ring(kernel) {}
    PollKernel kernel;
    RingDriver ring;
};

class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& from) noexcept : fd_(std::exchange(from.fd_, -1)) {}
    Fd& operator=(Fd&& from) noexcept {
        reset(std::exchange(from.fd_, -1));
        return *this;
    }
    void reset(int fd = -1) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }
    int release() { return std::exchange(fd_, -1); }
    operator int() const { return fd_; }

private:
    int fd_;
};

struct SocketPair {
    Fd here;
    Fd peer;
};

inline SocketPair unix_pair(int type = SOCK_STREAM) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    return {Fd(fds[0]), Fd(fds[1])};
}

inline sockaddr_in loopback(std::uint16_t port = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline sockaddr* generic(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

inline sockaddr_in local_address(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd, generic(address), &size) == 0);
    return address;
}

// On a port chosen by the kernel.
inline Fd bound_socket(int type) {
    Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    REQUIRE(fd >= 0);
    sockaddr_in address = loopback();
    REQUIRE(::bind(fd, generic(address), sizeof address) == 0);
    return fd;
}

inline Fd tcp_listener(int backlog = 128) {
    Fd fd = bound_socket(SOCK_STREAM);
    REQUIRE(::listen(fd, backlog) == 0);
    return fd;
}

inline SocketPair tcp_pair() {
    const Fd listener = tcp_listener();
    sockaddr_in address = local_address(listener);
    Fd here(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(here, generic(address), sizeof address) == 0);
    Fd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(peer >= 0);
    return {std::move(here), std::move(peer)};
}

// Ends a connection with a reset, which discards the peer's unread bytes.
inline void reset_connection(Fd& fd) {
    const linger at_once{1, 0};
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    fd.reset();
}

// Bytes that differ from their neighbours and from those of other seeds.
inline std::string pattern(std::size_t size, unsigned seed = 0) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>((i * 131 + (i >> 8) * 7 + seed) & 0xff);
    }
    return bytes;
}

// At most `limit` bytes that have arrived at `fd`.
inline std::string read_available(int fd, std::size_t limit = SIZE_MAX) {
    std::string bytes;
    char part[65536];
    while (bytes.size() < limit) {
        const std::size_t room = std::min(sizeof part, limit - bytes.size());
        const ssize_t size = ::recv(fd, part, room, MSG_DONTWAIT);
        if (size <= 0) break;
        bytes.append(part, static_cast<std::size_t>(size));
    }
    return bytes;
}

// All bytes in transit to `pair.peer`; shuts the sending side down first.
inline std::string read_to_end(const SocketPair& pair) {
    REQUIRE(::shutdown(pair.here, SHUT_WR) == 0);
    std::string bytes;
    char part[65536];
    while (const ssize_t size = ::recv(pair.peer, part, sizeof part, 0)) {
        REQUIRE(size > 0);
        bytes.append(part, static_cast<std::size_t>(size));
    }
    return bytes;
}

// Writes until the socket is full; returns the bytes written.
inline std::size_t fill(int fd) {
    const std::string bytes(65536, 'x');
    std::size_t total = 0;
    for (std::size_t size = bytes.size(); size > 0;) {
        const ssize_t sent = ::send(fd, bytes.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            total += static_cast<std::size_t>(sent);
        } else {
            size /= 2;  // a unix socket accepts a smaller message still
        }
    }
    return total;
}

}  // namespace uaio::test
