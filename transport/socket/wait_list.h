// Aios that wait until one direction of a socket can transfer bytes at once: first until no
// transfer is queued in it, then for poll(2) by IORING_OP_POLL_ADD. Each polls by itself. Engine's
// thread only.
#pragma once

#include <uaio/provider.h>

#include "engine/core.h"
#include "transport/stream/try_io.h"

namespace uaio {

class Socket;

class WaitList {
public:
    WaitList(Socket& socket, Direction direction) noexcept
        : socket_(socket), direction_(direction) {}

    // Starts an operation that passed admit_without_buffers().
    void submit(Aio& aio) noexcept;
    // Called when no transfer is queued in the direction any more.
    void on_idle() noexcept {
        if (!parked_.empty()) [[unlikely]]
            poll_parked();
    }
    bool has_parked() const noexcept { return !parked_.empty(); }
    // Cancels everything with Errc::closed.
    void close() noexcept;

    bool in_kernel() const noexcept { return !polled_.empty(); }

private:
    static Outcome on_completion(Aio& aio, int result, unsigned flags) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    Outcome on_polled(Aio& aio, int result) noexcept;
    void poll_parked() noexcept;
    void poll(Aio& aio) noexcept;
    void prepare(Aio& aio) noexcept;

    Socket& socket_;
    const Direction direction_;
    AioQueue parked_;
    AioQueue polled_;
};

}  // namespace uaio
