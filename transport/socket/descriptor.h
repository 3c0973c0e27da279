// The engine's side of a socket that a user's handle refers to. Closes in an order that loses
// nothing: no new operations, shutdown(2) of sending, cancel, wait for the last completions,
// close(2). Closing under a pending receive would send no FIN and swallow data. Discards unread
// bytes before close(2), while the kernel still sends window updates: the peer gets everything that
// was sent to it, and a reset if it sends more. Members are for the engine's thread unless noted.
#pragma once

#include "transport/stream/engine_object.h"

#include <sys/socket.h>

#include <atomic>
#include <cstdint>

namespace uaio {

class Descriptor : public EngineObject {
public:
    // Any thread. -1 once closing begins.
    int native_handle() const noexcept { return visible_fd_.load(std::memory_order_relaxed); }

    // Ends pending operations with Errc::closed, and closes the socket when the kernel has returned
    // them.
    void close_here() noexcept override;
    bool closed() const noexcept { return state_ != State::open || closed_early_; }
    int fd() const noexcept { return fd_; }

    // Call whenever an operation has left the kernel: continues a close that waits for it. May free
    // this.
    void continue_close() noexcept {
        if (state_ != State::open) [[unlikely]]
            close_further();
    }

    void begin_shutdown() noexcept override { close_here(); }
    void close_inherited() noexcept override;

protected:
    // Takes over `fd`.
    Descriptor(EngineCore& core, int fd) noexcept;
    ~Descriptor() override;

    // Cancels every pending operation with Errc::closed.
    virtual void end_operations() noexcept = 0;
    // True while the kernel has an operation on the descriptor.
    virtual bool in_kernel() const noexcept = 0;
    // True while an Aio of this object is pending, if only for a zero-copy notification.
    virtual bool holds_aios() const noexcept = 0;
    // Calls shutdown(2) before the operations are cancelled. A stream shuts down only sending:
    // after SHUT_RD the kernel sends no window updates, and a peer that waits for one would wait
    // until FIN-WAIT-2 is over (tcp(7), tcp_fin_timeout). Engine's thread, or any while none runs
    // the engine.
    virtual void end_transfer() noexcept { core().kernel().shutdown(fd_, SHUT_WR); }
    // False if no byte that was received, or may be, is left to discard.
    virtual bool may_have_unread() const noexcept { return true; }
    // Called when the descriptor is closed, except by on_engine_destroyed().
    virtual void on_closed() noexcept {}
    void on_engine_destroyed(bool idle) noexcept override;

    // Any thread: closes the descriptor at once if no thread runs the engine, since then no
    // operation can be in the kernel. Otherwise returns false without effect.
    bool close_unbound() noexcept;

private:
    enum class State : std::uint8_t {
        open,
        closing,   // waits for the kernel
        closed,    // the descriptor is closed; zero-copy notifications may still hold Aios
        orphaned,  // the engine and all operations are gone
    };

    bool finished() const noexcept override { return state_ >= State::closed; }
    bool busy() const noexcept override {
        return state_ != State::orphaned && (state_ != State::closed || holds_aios());
    }
    void close_further() noexcept;
    void close_if_unused() noexcept;
    void close_descriptor() noexcept;

    std::atomic<int> visible_fd_;
    const int fd_;
    State state_ = State::open;
    bool closed_early_ = false;  // by close_unbound(), before the engine had a thread
};

}  // namespace uaio
