// The engine's side of a socket whose user holds a handle. The handle may go at any time and on any
// thread; the Descriptor stays until the kernel is done with its operations, closes the socket, and
// frees itself. Closing is in the order that loses nothing: no new operations, shutdown(2) of what
// is sent, cancel, wait for the last completions, close(2); closing under a pending receive would
// send no FIN and swallow data. What was received and not read is dropped before close(2), while
// the peer still learns of the room: it gets everything that was sent to it, and a reset if it
// sends more. Members are for the engine's thread unless they say otherwise.
#pragma once

#include "engine/core.h"

#include <sys/socket.h>

#include <atomic>
#include <cstdint>

namespace uaio {

class Descriptor : public Resident {
public:
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    // Any thread. Asks for close_here().
    void close() noexcept;
    // Any thread, once, by the handle that goes: closes, and frees this when nothing is left.
    void release() noexcept;
    // Any thread.
    int native_handle() const noexcept { return visible_fd_.load(std::memory_order_relaxed); }
    Engine& engine() const noexcept { return core_.face(); }

    // Ends what is pending with Errc::closed and closes the socket when the kernel let go of it.
    void close_here() noexcept;
    bool closed() const noexcept { return state_ != State::open || closed_early_; }
    int fd() const noexcept { return fd_; }
    EngineCore& core() noexcept { return core_; }

    // Called whenever an operation has left the kernel: goes on with a close that waited for it.
    // May free this.
    void let_go() noexcept;

    void evict() noexcept override { close_here(); }
    bool quiet() const noexcept override { return state_ == State::closed && !holds_aios(); }
    void orphan() noexcept override;
    void close_inherited() noexcept override;

protected:
    Descriptor(EngineCore& core, int fd) noexcept;
    virtual ~Descriptor();
    // Makes it known to the engine. The last step of the constructor of the class that is made: the
    // engine's thread may call what is virtual from here on.
    void enroll() noexcept;

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
    virtual void end_transfer() noexcept { core_.kernel().shutdown(fd_, SHUT_WR); }
    // The descriptor is closed, if not by orphan().
    virtual void on_closed() noexcept {}

    // Any thread.
    bool is_engine_gone() const noexcept { return engine_gone_.load(std::memory_order_acquire); }
    // Any thread: closes the descriptor at once if no thread runs the engine, and so none of its
    // operations can be in the kernel. False, and nothing has happened, if one does.
    bool close_unbound() noexcept;

private:
    enum class State : std::uint8_t {
        open,
        closing,  // waits for the kernel
        closed,   // the descriptor is closed; zero-copy notifications may still hold Aios
    };

    void release_here() noexcept;
    void close_descriptor() noexcept;

    EngineCore& core_;
    struct Mail : MailboxEntry {
        explicit Mail(Descriptor& target) noexcept : descriptor(target) {}
        Descriptor& descriptor;
    };
    void post(Mail& mail, void (*deliver)(MailboxEntry&) noexcept) noexcept;

    Mail registering_{*this};
    Mail closing_{*this};
    Mail releasing_{*this};
    std::atomic<int> visible_fd_;
    std::atomic<bool> close_asked_{false};
    std::atomic<bool> mailed_{false};  // there may be mail of this on its way
    std::atomic<bool> engine_gone_{false};
    const int fd_;
    State state_ = State::open;
    bool released_ = false;
    bool closed_early_ = false;  // by close_unbound(), before the engine had a thread
};

}  // namespace uaio
