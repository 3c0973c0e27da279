// The echo server of plain system calls: epoll(7), level-triggered, with recv and send.
#include "bench/servers/echo.h"
#include "bench/support/loopback.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace {

using uaio::bench::Descriptor;

constexpr int kEventsMax = 512;

struct Connection {
    Descriptor socket;
    std::vector<char> buffer;
    std::size_t begin = 0;  // of the bytes still to send, up to `end`
    std::size_t end = 0;
};

void watch(int epoll, int change, int fd, std::uint32_t events, Connection* connection) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = connection;
    if (::epoll_ctl(epoll, change, fd, &event) != 0) std::abort();
}

// Sends the rest of the buffer; false after an error.
bool send_rest(int epoll, Connection& connection, bool was_full) {
    const int fd = connection.socket.get();
    while (connection.begin < connection.end) {
        const ssize_t sent = ::send(fd, connection.buffer.data() + connection.begin,
                                    connection.end - connection.begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) return false;
            if (!was_full) watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT, &connection);
            return true;
        }
        connection.begin += static_cast<std::size_t>(sent);
    }
    if (was_full) watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN, &connection);
    return true;
}

// False at the end of the stream and after an error.
bool receive(int epoll, Connection& connection) {
    const ssize_t got = ::recv(connection.socket.get(), connection.buffer.data(),
                               connection.buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    connection.begin = 0;
    connection.end = static_cast<std::size_t>(got);
    return send_rest(epoll, connection, false);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t bytes = uaio::bench::prepare(argc, argv);
    const uaio::bench::Listening listening;
    const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    watch(epoll.get(), EPOLL_CTL_ADD, listening.fd(), EPOLLIN, nullptr);
    uaio::bench::announce(listening.port());
    std::array<epoll_event, kEventsMax> events;
    for (;;) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), kEventsMax, -1);
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            auto* const connection = static_cast<Connection*>(event.data.ptr);
            if (!connection) {
                auto accepted = std::make_unique<Connection>();
                accepted->socket = listening.accept();
                accepted->buffer.resize(bytes);
                const int fd = accepted->socket.get();
                watch(epoll.get(), EPOLL_CTL_ADD, fd, EPOLLIN, accepted.release());
                continue;
            }
            const bool goes_on = (event.events & EPOLLOUT)
                                     ? send_rest(epoll.get(), *connection, true)
                                     : receive(epoll.get(), *connection);
            if (!goes_on) delete connection;  // close(2) removes it from the epoll set
        }
    }
}
