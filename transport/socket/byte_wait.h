// The wait of a socket for bytes without an Aio, in a buffer that the kernel chooses when they
// arrive. See IdleReceive. Engine's thread only.
#pragma once

#include <uaio/error.h>
#include <uaio/nodes.h>

#include "engine/core.h"
#include "transport/stream/idle_receive.h"

namespace uaio {

class Socket;

class ByteWait : private Completion {
public:
    explicit ByteWait(Socket& socket) noexcept;

    bool begin(IdleReceive::Received received, void* owner) noexcept;
    // Requests that the wait end with that error. Only the first request counts.
    void cancel(Errc reason) noexcept;
    bool in_kernel() const noexcept { return received_ != nullptr; }

private:
    struct End {  // of the receive
        int result = 0;
        unsigned flags = 0;
    };

    static ByteWait& of(Completion& completion) noexcept {
        return static_cast<ByteWait&>(completion);
    }
    static Outcome on_completion(Completion& completion, int result, unsigned flags) noexcept;
    static void on_finished(Completion& completion) noexcept;
    void receive() noexcept;
    [[nodiscard]] std::error_code error_of_end() noexcept;

    Socket& socket_;
    IdleReceive::Received received_ = nullptr;  // while it is in the kernel
    void* owner_ = nullptr;
    End end_;
    Errc reason_{};  // of its cancel
};

}  // namespace uaio
