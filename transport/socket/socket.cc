#include "transport/socket/socket.h"

#include <uaio/provider.h>

#include "base/check.h"
#include "transport/stream/admit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <type_traits>

namespace uaio {

Socket::Socket(EngineCore& core, int fd, const StreamOptions& options) noexcept
    : Descriptor(core, fd), writes_(*this, options), reads_(*this, options) {
    enroll();
}

template <auto kQueue>
inline void Socket::start(Aio& aio, bool all) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    bool closed = socket.closed();
    if constexpr (std::is_same_v<decltype(kQueue), WriteQueue Socket::*>) {
        closed = closed || socket.read_only_;
    }
    const Admission admission = admit(aio, closed);
    if (admission.refused != Errc{}) [[unlikely]] {
        return Provider::finish(aio, admission.refused);
    }
    (socket.*kQueue).submit(aio, all, admission.bytes);
}

// The kernel keeps bytes received before a reset, and returns them before it reports the reset.
// After shutdown(2) no read stays pending, whatever the reason of the failed write.
void Socket::end_writing() noexcept {
    if (closed() || read_only_) return;
    DCHECK(writes_.is_idle());
    if (core().kernel().peek(fd()) <= 0) return close_here();
    read_only_ = true;
    core().kernel().shutdown(fd(), SHUT_RDWR);
    writes_.close();
    writable_.close();
}

bool Socket::was_reset() noexcept {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (core().kernel().get_option(fd(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
    // After the peer's FIN the state is CLOSE_WAIT, since this side has not shut down.
    return info.tcpi_state == TCP_CLOSE;
}

void Socket::start_write(Aio& aio) noexcept { start<&Socket::writes_>(aio, false); }
void Socket::start_write_all(Aio& aio) noexcept { start<&Socket::writes_>(aio, true); }
void Socket::start_read(Aio& aio) noexcept { start<&Socket::reads_>(aio, false); }
void Socket::start_read_all(Aio& aio) noexcept { start<&Socket::reads_>(aio, true); }

template <auto kList>
inline void Socket::start_wait(Aio& aio) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    const Admission admission = admit_without_buffers(aio, socket.closed());
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    (socket.*kList).submit(aio);
}

void Socket::start_wait_writable(Aio& aio) noexcept { start_wait<&Socket::writable_>(aio); }
void Socket::start_wait_readable(Aio& aio) noexcept { start_wait<&Socket::readable_>(aio); }

void Socket::end_operations() noexcept {
    writes_.close();
    reads_.close();
    awaited_.cancel(Errc::closed);
    writable_.close();
    readable_.close();
}

}  // namespace uaio
