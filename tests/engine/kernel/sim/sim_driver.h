// Drives a SimKernel by raw SQEs and by the calls of the seam, as an engine would; it depends on no
// particular kernel, so that tests can drive a real one beside it. One thread.
#pragma once

#include "engine/kernel/kernel.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <liburing.h>

namespace uaio {

struct SimCompletion {
    std::uint64_t user_data = 0;
    int res = 0;
    unsigned flags = 0;

    bool operator==(const SimCompletion&) const = default;
};

class SimDriver {
public:
    explicit SimDriver(Kernel& kernel) : kernel_(kernel), view_(kernel.ring()) {
        static_cast<void>(kernel.bind());
    }

    Kernel& kernel() noexcept { return kernel_; }

    // Publishes one SQE, which the next enter() consumes; false if the ring is full.
    template <class Prepare>
    bool submit(std::uint64_t user_data, Prepare prepare) {
        const unsigned tail = *view_.sq_tail;
        const unsigned head = std::atomic_ref(*view_.sq_head).load(std::memory_order_acquire);
        if (tail - head > view_.sq_mask) return false;
        io_uring_sqe* const sqe = &view_.sqes[tail & view_.sq_mask];
        prepare(sqe);
        sqe->user_data = user_data;
        std::atomic_ref(*view_.sq_tail).store(tail + 1, std::memory_order_release);
        return true;
    }

    int enter(unsigned wait = 0, Clock::time_point deadline = Clock::time_point::max()) {
        return kernel_.enter(wait, deadline);
    }

    // The completions in the ring.
    std::vector<SimCompletion> reap() {
        std::vector<SimCompletion> found;
        unsigned head = *view_.cq_head;
        const unsigned tail = std::atomic_ref(*view_.cq_tail).load(std::memory_order_acquire);
        for (; head != tail; ++head) {
            const io_uring_cqe& cqe = view_.cqes[head & view_.cq_mask];
            found.push_back({cqe.user_data, cqe.res, cqe.flags});
        }
        std::atomic_ref(*view_.cq_head).store(head, std::memory_order_release);
        return found;
    }

    // Submits, and collects completions until none arrives within `patience`.
    std::vector<SimCompletion> settle(std::chrono::nanoseconds patience = kPatience) {
        std::vector<SimCompletion> all = take();
        for (;;) {
            const int result = enter(1, kernel_.now() + patience);
            const std::vector<SimCompletion> some = reap();
            all.insert(all.end(), some.begin(), some.end());
            if (result == -ETIME && some.empty()) return all;
        }
    }

    // Submits one operation and waits for its result; keeps other completions for take() and
    // settle().
    template <class Prepare>
    int call(Prepare prepare) {
        constexpr std::uint64_t kMine = 0xca11;
        submit(kMine, prepare);
        const Clock::time_point limit = kernel_.now() + std::chrono::seconds(5);
        while (kernel_.now() < limit) {
            enter(1, limit);
            for (const SimCompletion& completion : reap())
                others_.push_back(completion);
            const auto mine = std::ranges::find(others_, kMine, &SimCompletion::user_data);
            if (mine == others_.end()) continue;
            const int res = mine->res;
            others_.erase(mine);
            return res;
        }
        return -ETIME;
    }

    std::vector<SimCompletion> take() { return std::exchange(others_, {}); }

    // --- Operations ---

    void send(std::uint64_t user_data, int fd, std::string_view bytes, int flags = 0) {
        submit(user_data, [=](io_uring_sqe* sqe) {
            io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
        });
    }
    void receive(std::uint64_t user_data, int fd, void* data, std::size_t size, int flags = 0) {
        submit(user_data,
               [=](io_uring_sqe* sqe) { io_uring_prep_recv(sqe, fd, data, size, flags); });
    }
    bool cancel(std::uint64_t user_data, std::uint64_t target, unsigned flags = 0) {
        return submit(user_data, [=](io_uring_sqe* sqe) {
            io_uring_prep_cancel64(sqe, target, static_cast<int>(flags));
        });
    }
    int send_now(int fd, std::string_view bytes, int flags = 0) {
        return call([=](io_uring_sqe* sqe) {
            io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
        });
    }
    int receive_now(int fd, void* data, std::size_t size, int flags = 0) {
        return call([=](io_uring_sqe* sqe) { io_uring_prep_recv(sqe, fd, data, size, flags); });
    }

    // --- Sockets ---

    // A bound and listening socket: loopback with a free port, or an abstract name.
    int listen(int domain, int backlog = 16) {
        const int fd = kernel_.socket(domain, SOCK_STREAM, 0);
        sockaddr_storage address{};
        socklen_t size = sizeof(sa_family_t);
        address.ss_family = static_cast<sa_family_t>(domain);
        if (domain == AF_INET) {
            const in_addr loopback{htonl(INADDR_LOOPBACK)};
            reinterpret_cast<sockaddr_in&>(address).sin_addr = loopback;
            size = sizeof(sockaddr_in);
        } else if (domain == AF_INET6) {
            reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
            size = sizeof(sockaddr_in6);
        }
        kernel_.bind_socket(fd, reinterpret_cast<sockaddr*>(&address), size);
        kernel_.listen(fd, backlog);
        return fd;
    }
    std::uint16_t port_of(int fd) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        kernel_.local_address(fd, reinterpret_cast<sockaddr*>(&address), &size);
        return ntohs(address.sin_port);
    }
    // A socket connected to the listener, or the negative errno.
    int connect(int domain, int listener) {
        const int fd = kernel_.socket(domain, SOCK_STREAM, 0);
        const int res = call_connect(fd, listener);
        return res < 0 ? res : fd;
    }
    int call_connect(int fd, int listener) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        kernel_.local_address(listener, reinterpret_cast<sockaddr*>(&address), &size);
        return call([&](io_uring_sqe* sqe) {
            io_uring_prep_connect(sqe, fd, reinterpret_cast<sockaddr*>(&address), size);
        });
    }
    int accept(int listener) {
        return call(
            [=](io_uring_sqe* sqe) { io_uring_prep_accept(sqe, listener, nullptr, nullptr, 0); });
    }
    // The two ends of a connection: the connecting one, and the accepted one.
    std::pair<int, int> connection(int domain) {
        const int listener = listen(domain);
        const int client = connect(domain, listener);
        const int server = accept(listener);
        kernel_.close(listener);
        return {client, server};
    }
    // Makes the next close of this socket send a reset.
    void reset_on_close(int fd) {
        const linger hard{1, 0};
        kernel_.set_option(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    // Sends until the socket is full.
    std::size_t fill(int fd) {
        static const std::vector<char> bytes(1 << 20, 'f');
        std::size_t total = 0;
        for (;;) {
            const int res = send_now(fd, {bytes.data(), bytes.size()}, MSG_DONTWAIT);
            if (res <= 0) return total;
            total += static_cast<std::size_t>(res);
        }
    }

private:
    // Real kernels need a moment; virtual time is free.
    static constexpr std::chrono::milliseconds kPatience{20};

    Kernel& kernel_;
    const RingView view_;
    std::vector<SimCompletion> others_;
};

}  // namespace uaio
