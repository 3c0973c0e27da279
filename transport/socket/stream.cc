#include "transport/socket/stream.h"

#include <uaio/provider.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>

namespace uaio {

StreamPtr SocketStream::make(EngineCore& core, int fd, const StreamOptions& options) noexcept {
    Socket* const socket = new (std::nothrow) Socket(core, fd, options);
    if (!socket) {
        core.kernel().close(fd);
        return nullptr;
    }
    static_assert(sizeof(SocketStream) <= Socket::kHandleSize);
    return StreamPtr(new (socket->room_for_handle()) SocketStream(*socket));
}

void SocketStream::operator delete(SocketStream* stream, std::destroying_delete_t) noexcept {
    Socket& socket = stream->socket_;
    stream->~SocketStream();
    socket.release();
}

void SocketStream::read(Aio& aio) {
    if (!socket_.is_in_turn())
        return static_cast<void>(submit_for(socket_, aio, &Socket::start_read));
    socket_.reads().submit_in_turn(aio, false);
}

void SocketStream::read_all(Aio& aio) {
    if (!socket_.is_in_turn())
        return static_cast<void>(submit_for(socket_, aio, &Socket::start_read_all));
    socket_.reads().submit_in_turn(aio, true);
}

void SocketStream::write(Aio& aio) {
    if (!socket_.is_in_turn()) return socket_.write_outside_turn(aio, false);
    socket_.writes().submit_in_turn(aio, false);
}

void SocketStream::write_all(Aio& aio) {
    if (!socket_.is_in_turn()) return socket_.write_outside_turn(aio, true);
    socket_.writes().submit_in_turn(aio, true);
}

Transferred SocketStream::try_write(std::span<const std::byte> bytes) noexcept {
    if (socket_.closed() || socket_.is_read_only()) return {Errc::closed};
    return socket_.writes().try_send(bytes);
}

Transferred SocketStream::try_read(std::span<std::byte> bytes) noexcept {
    if (socket_.closed()) return {Errc::closed};
    return socket_.reads().try_receive(bytes);
}

void SocketStream::wait_for(Direction direction, Aio& aio) noexcept {
    const Starter starter =
        direction == Direction::send ? &Socket::start_wait_writable : &Socket::start_wait_readable;
    submit_for(socket_, aio, starter);
}

std::error_code SocketStream::start_encrypting(std::span<const std::byte> info) noexcept {
    if (socket_.closed()) return Errc::closed;
    return socket_.writes().start_encrypting(info);
}

Transferred SocketStream::try_write_record(std::uint8_t type,
                                           std::span<const std::byte> bytes) noexcept {
    if (socket_.closed() || socket_.is_read_only()) return {Errc::closed};
    return socket_.writes().try_send_record(type, bytes);
}

void SocketStream::end_output() noexcept {
    if (!socket_.closed()) socket_.core().kernel().shutdown(socket_.fd(), SHUT_WR);
}

bool SocketStream::await_bytes(Received received, void* owner) noexcept {
    return socket_.awaited().begin(received, owner);
}

namespace {

// A time beyond the range of int becomes the nearest int, which the kernel refuses as well.
int as_int(std::chrono::seconds time) noexcept {
    using Limits = std::numeric_limits<int>;
    return static_cast<int>(
        std::clamp<std::chrono::seconds::rep>(time.count(), Limits::min(), Limits::max()));
}

}  // namespace

int apply_options(Kernel& kernel, int fd, int family, const StreamOptions& options) noexcept {
    int result = 0;
    const auto set = [&](int level, int name, int value) {
        if (result == 0) result = kernel.set_option(fd, level, name, &value, sizeof value);
    };
    if (family != AF_UNIX) {
        set(IPPROTO_TCP, TCP_NODELAY, options.no_delay ? 1 : 0);
        if (options.keep_alive) {
            set(SOL_SOCKET, SO_KEEPALIVE, 1);
            set(IPPROTO_TCP, TCP_KEEPIDLE, as_int(options.keep_alive_idle));
            set(IPPROTO_TCP, TCP_KEEPINTVL, as_int(options.keep_alive_interval));
            set(IPPROTO_TCP, TCP_KEEPCNT, options.keep_alive_probes);
        }
    }
    if (options.send_buffer > 0) set(SOL_SOCKET, SO_SNDBUF, options.send_buffer);
    if (options.receive_buffer > 0) set(SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
    return result;
}

}  // namespace uaio
