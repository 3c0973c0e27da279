#include "bench/peers/echoes.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace uaio::bench {
namespace {

constexpr int kEventsMax = 512;

enum class Echoed { yes, nothing, ended };

Echoed echo(EchoEnd& end) {
    const int fd = end.socket.get();
    const ssize_t got = ::recv(fd, end.message.data(), end.message.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return Echoed::nothing;
    if (got <= 0) return Echoed::ended;
    if (static_cast<std::size_t>(got) != end.message.size()) {
        throw std::runtime_error("a message arrived in pieces");
    }
    const ssize_t sent =
        ::send(fd, end.message.data(), end.message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent == got ? Echoed::yes : Echoed::ended;
}

void watch(int epoll, EchoEnd& end) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &end;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, end.socket.get(), &event) != 0) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
}

}  // namespace

void echo_by_epoll(EchoEnds& ends, Meter* meter) {
    const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    for (EchoEnd& end : ends)
        watch(epoll.get(), end);
    std::array<epoll_event, kEventsMax> events;
    for (std::size_t open = ends.size(); open > 0;) {
        const int ready = ::epoll_wait(epoll.get(), events.data(), kEventsMax, -1);
        for (int i = 0; i < ready; ++i) {
            EchoEnd& end = *static_cast<EchoEnd*>(events[static_cast<std::size_t>(i)].data.ptr);
            switch (echo(end)) {
                case Echoed::yes:
                    if (meter && end.counted && !meter->count()) return;
                    break;
                case Echoed::nothing: break;
                case Echoed::ended:
                    if (meter) throw std::runtime_error("a connection ended early");
                    end.socket = Descriptor();  // close(2) removes it from the epoll set
                    --open;
            }
        }
    }
}

}  // namespace uaio::bench
