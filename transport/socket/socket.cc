#include "transport/socket/socket.h"

#include "transport/admit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace uaio {
namespace {

Socket& socket_of(const Aio& aio) noexcept { return *static_cast<Socket*>(EngineCore::owner(aio)); }

}  // namespace

Socket::Socket(EngineCore& core, int fd, const StreamOptions& options) noexcept
    : Descriptor(core, fd), writes_(*this, options), reads_(*this, options) {}

bool Socket::was_reset() noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (core().kernel().get_option(fd(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
    // The peer's orderly end leaves CLOSE_WAIT, since this side has not shut down.
    return info.tcpi_state == TCP_CLOSE;
}

void Socket::start_write(Aio& aio) noexcept {
    Socket& socket = socket_of(aio);
    const std::error_code refused = admit(aio, socket.closed());
    if (refused) return socket.core().finish(aio, refused);
    socket.writes().submit(aio, false);
}

void Socket::start_write_all(Aio& aio) noexcept {
    Socket& socket = socket_of(aio);
    const std::error_code refused = admit(aio, socket.closed());
    if (refused) return socket.core().finish(aio, refused);
    socket.writes().submit(aio, true);
}

void Socket::start_read(Aio& aio) noexcept {
    Socket& socket = socket_of(aio);
    const std::error_code refused = admit(aio, socket.closed());
    if (refused) return socket.core().finish(aio, refused);
    socket.reads().submit(aio, false);
}

void Socket::start_read_all(Aio& aio) noexcept {
    Socket& socket = socket_of(aio);
    const std::error_code refused = admit(aio, socket.closed());
    if (refused) return socket.core().finish(aio, refused);
    socket.reads().submit(aio, true);
}

void Socket::end_operations() noexcept {
    writes_.close();
    reads_.close();
}

}  // namespace uaio
