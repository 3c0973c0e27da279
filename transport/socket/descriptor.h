// The engine's side of a socket whose user holds a handle. Closing is in the order that loses
// nothing: no new operations, shutdown(2) of what is sent, cancel, wait for the last completions,
// close(2); closing under a pending receive would send no FIN and swallow data. What was received
// and not read is dropped before close(2), while the peer still learns of the room: it gets
// everything that was sent to it, and a reset if it sends more. Members are for the engine's thread
// unless they say otherwise.
#pragma once

#include "transport/stream/engine_object.h"

#include <sys/socket.h>

#include <atomic>
#include <cstdint>

namespace uaio {

class Descriptor : public EngineObject {
public:
    // Any thread. -1 once it closes.
    int native_handle() const noexcept { return visible_fd_.load(std::memory_order_relaxed); }

    // Ends what is pending with Errc::closed and closes the socket when the kernel has returned it.
    void close_here() noexcept override;
    bool closed() const noexcept { return state_ != State::open || closed_early_; }
    int fd() const noexcept { return fd_; }

    // To be called whenever an operation has left the kernel: goes on with a close that waited for
    // it. May free this.
    void continue_close() noexcept;

    void begin_shutdown() noexcept override { close_here(); }
    void close_inherited() noexcept override;

protected:
    Descriptor(EngineCore& core, int fd) noexcept;

    // Asks every pending operation to end with Errc::closed.
    virtual void end_operations() noexcept = 0;
    // True while the kernel has an operation on the descriptor.
    virtual bool in_kernel() const noexcept = 0;
    // True while an Aio of this object is still to come back, be it only from a zero-copy
    // notification.
    virtual bool holds_aios() const noexcept = 0;
    // Ends what other side and kernel see of it, by shutdown(2), before its operations are
    // cancelled. Of a stream only the sending: after SHUT_RD the kernel no longer tells the peer of
    // room in the window, and a peer that waits for it would wait until FIN-WAIT-2 is over
    // (tcp(7), tcp_fin_timeout). By the engine's thread, or by any while none runs the engine.
    virtual void end_transfer() noexcept { core().kernel().shutdown(fd_, SHUT_WR); }
    // The descriptor is closed, if not by on_engine_destroyed().
    virtual void on_closed() noexcept {}
    void on_engine_destroyed(bool idle) noexcept override;

    // Any thread: closes the descriptor at once if no thread runs the engine, and so none of its
    // operations can be in the kernel. False, and nothing has happened, if one does.
    bool close_unbound() noexcept;

private:
    enum class State : std::uint8_t {
        open,
        closing,   // waits for the kernel
        closed,    // the descriptor is closed; zero-copy notifications may still hold Aios
        orphaned,  // the engine is gone, and with it every operation
    };

    bool finished() const noexcept override { return state_ >= State::closed; }
    bool busy() const noexcept override {
        return state_ != State::orphaned && (state_ != State::closed || holds_aios());
    }
    void close_if_unused() noexcept;
    void close_descriptor() noexcept;

    std::atomic<int> visible_fd_;
    const int fd_;
    State state_ = State::open;
    bool closed_early_ = false;  // by close_unbound(), before the engine had a thread
};

}  // namespace uaio
