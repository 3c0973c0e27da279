#include "transport/socket/connecting.h"

#include <uaio/endpoint.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/socket/stream.h"
#include "transport/stream/admit.h"
#include "transport/stream/starters.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <liburing.h>

namespace uaio {
namespace {

// A connect under way. Owns itself from the accepted submission to its end.
class Connecting {
public:
    Connecting(const ConnectPlan& plan, StreamPtr& out) noexcept : plan_(plan), out_(out) {}

    static void start(Aio& aio) noexcept {
        std::unique_ptr<Connecting> self(of(aio));
        EngineCore& core = EngineCore::of(aio.engine());
        const Admission admission = admit_without_buffers(aio, false);
        if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
        if (self->plan_.refused) return Provider::finish(aio, self->plan_.refused);
        if (const int result = self->prepare(core.kernel()); result < 0) {
            if (self->fd_ >= 0) core.kernel().close(self->fd_);
            return Provider::finish(aio, error_from_result(result));
        }
        self.release()->connect(aio);
    }

private:
    static Connecting* of(const Aio& aio) noexcept {
        return static_cast<Connecting*>(Provider::owner(aio));
    }

    int prepare(Kernel& kernel) noexcept {
        DCHECK(fd_ < 0);
        const int family = plan_.peer.storage.ss_family;
        fd_ = kernel.socket(family, SOCK_STREAM, 0);
        if (fd_ < 0) return fd_;
        const int result = apply_options(kernel, fd_, family, plan_.stream);
        if (result < 0) return result;
        return bind(kernel);
    }

    int bind(Kernel& kernel) noexcept {
        if (const auto index = static_cast<int>(plan_.interface); index != 0) {
            const int result =
                kernel.set_option(fd_, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof index);
            if (result < 0) return result;
        }
        if (plan_.local.size == 0) return 0;
        SocketAddress local = plan_.local;
        const Endpoint first = Endpoint::from(local.get(), local.size);
        for (unsigned tried = 0;; ++tried) {
            const int result = kernel.bind_socket(fd_, local.get(), local.size);
            const unsigned port = first.port() + tried + 1u;
            const bool more = tried + 1 < plan_.local_ports && port <= 65535 && first.port() != 0;
            if (result != -EADDRINUSE || !more) return result;
            const Endpoint next = first.with_port(static_cast<std::uint16_t>(port));
            DCHECK(next.size() == local.size);
            std::memcpy(&local.storage, next.address(), next.size());
        }
    }

    void connect(Aio& aio) noexcept {
        io_uring_sqe& sqe = Provider::begin<&on_connected>(aio);
        io_uring_prep_connect(&sqe, fd_, plan_.peer.get(), plan_.peer.size);
    }

    static Outcome on_connected(Aio& aio, int result, unsigned) noexcept {
        std::unique_ptr<Connecting> self(of(aio));
        EngineCore& core = EngineCore::of(aio.engine());
        const std::error_code asked = Provider::cancel_reason(aio);
        if (!asked && (result == -EINTR || result == -EAGAIN)) {
            self.release()->connect(aio);
            return Outcome::pending;
        }
        // An interrupted connect continues in the kernel; a repeated one may return EISCONN.
        if (result == 0 || result == -EISCONN) {
            StreamPtr stream = SocketStream::make(core, self->fd_, self->plan_.stream);
            if (stream) {
                self->out_ = std::move(stream);
            } else {
                Provider::set_error(aio, Errc::not_enough_memory);
            }
            return Outcome::finished;
        }
        core.kernel().close(self->fd_);
        std::error_code error = asked;
        if (!error && result == -ECANCELED) error = Errc::closed;  // the engine ends
        Provider::set_error(aio, error ? error : error_from_result(result));
        return Outcome::finished;
    }

    const ConnectPlan plan_;
    StreamPtr& out_;
    int fd_ = -1;
};

}  // namespace

void connect_socket(const ConnectPlan& plan, Aio& aio, StreamPtr& out) noexcept {
    std::unique_ptr<Connecting> connecting(new (std::nothrow) Connecting(plan, out));
    submit_owned(std::move(connecting), aio, &Connecting::start);
}

}  // namespace uaio
