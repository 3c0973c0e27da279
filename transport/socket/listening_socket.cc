#include "transport/socket/listening_socket.h"

#include "transport/socket/stream.h"

#include <sys/socket.h>

#include <cerrno>
#include <new>

#include <liburing.h>

namespace uaio {
namespace {

// Where the accepted stream goes; kept in the Aio.
StreamPtr& out_of(Aio& aio) noexcept {
    return **std::launder(reinterpret_cast<StreamPtr**>(EngineCore::scratch(aio).data()));
}

[[noreturn]] void refuse(Kernel& kernel, int fd, int result, const char* call,
                         const std::string& where) {
    if (fd >= 0) kernel.close(fd);
    const std::error_code error(-result, std::system_category());
    throw std::system_error(
        error, std::string("uaio: ") + call + " for " + where + ": " + strerror(error));
}

}  // namespace

ListeningSocket* ListeningSocket::open(Engine& engine, const sockaddr* address, socklen_t size,
                                       const Setup& setup, const std::string& where) {
    EngineCore& core = EngineCore::of(engine);
    Kernel& kernel = core.kernel();
    const int family = address->sa_family;
    const int fd = kernel.socket(family, SOCK_STREAM, 0);
    if (fd < 0) refuse(kernel, -1, fd, "socket", where);
    const int yes = 1;
    int result = 0;
    if (setup.reuse_address && family != AF_UNIX) {
        result = kernel.set_option(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        if (result < 0) refuse(kernel, fd, result, "SO_REUSEADDR", where);
    }
    if (setup.reuse_port) {
        result = kernel.set_option(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
        if (result < 0) refuse(kernel, fd, result, "SO_REUSEPORT", where);
    }
    // Accepted sockets inherit them, which spares each of them the calls.
    if (const std::error_code error = apply_options(kernel, fd, family, setup.stream)) {
        refuse(kernel, fd, -error.value(), "the socket options", where);
    }
    result = kernel.bind_socket(fd, address, size);
    if (result < 0) refuse(kernel, fd, result, "bind", where);
    result = kernel.listen(fd, setup.backlog);
    if (result < 0) refuse(kernel, fd, result, "listen", where);
    ListeningSocket* const socket = new (std::nothrow) ListeningSocket(core, fd, setup);
    if (!socket) refuse(kernel, fd, -ENOMEM, "memory", where);
    return socket;
}

void ListeningSocket::accept(Aio& aio, StreamPtr& out) noexcept {
    provider::submit(engine(), aio, &start_accept, this, &out);
}

void ListeningSocket::start_accept(Aio& aio) noexcept {
    ListeningSocket& self = *static_cast<ListeningSocket*>(EngineCore::owner(aio));
    if (EngineCore::stopped(aio)) return self.core().finish(aio, Errc::canceled);
    if (self.closed()) return self.core().finish(aio, Errc::closed);
    if (EngineCore::expired(aio)) return self.core().finish(aio, Errc::timed_out);
    StreamPtr* const out = static_cast<StreamPtr*>(EngineCore::argument(aio));
    ::new (static_cast<void*>(EngineCore::scratch(aio).data())) StreamPtr*(out);
    self.accepts_.push(aio);
    self.wait_for_connection(aio);
}

void ListeningSocket::wait_for_connection(Aio& aio) noexcept {
    io_uring_sqe& sqe = core().begin(aio, &on_accepted);
    io_uring_prep_accept(&sqe, fd(), nullptr, nullptr, SOCK_CLOEXEC);
}

Outcome ListeningSocket::on_accepted(Aio& aio, int result, unsigned) noexcept {
    ListeningSocket& self = *static_cast<ListeningSocket*>(EngineCore::owner(aio));
    if (!self.end(aio, result)) return Outcome::pending;
    self.accepts_.remove(aio);
    self.let_go();  // may free the socket
    return Outcome::finished;
}

// False if the accept goes on.
bool ListeningSocket::end(Aio& aio, int result) noexcept {
    if (result >= 0) {
        StreamPtr stream = SocketStream::make(core(), result, options_);
        if (stream) {
            out_of(aio) = std::move(stream);
        } else {
            EngineCore::set_error(aio, Errc::not_enough_memory);
        }
        return true;
    }
    if (const std::error_code reason = EngineCore::cancel_reason(aio)) {
        EngineCore::set_error(aio, reason);
        return true;
    }
    // ECONNABORTED: that connection died in the queue; others may be there (accept(2)).
    if (result == -EINTR || result == -EAGAIN || result == -ECONNABORTED) {
        wait_for_connection(aio);
        return false;
    }
    EngineCore::set_error(aio, error_from_result(result));
    return true;
}

void ListeningSocket::end_operations() noexcept {
    if (!file_.empty()) core().kernel().unlink(file_.c_str());
    for (Aio* aio = accepts_.front(); aio;) {
        Aio* const behind = AioQueue::next(*aio);
        core().cancel_here(*aio, Errc::closed);
        aio = behind;
    }
}

}  // namespace uaio
