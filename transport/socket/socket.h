// A connected socket on the engine's side: its writes and its reads. Tcp and unix streams are the
// same but for how they are made.
#pragma once

#include "transport/socket/descriptor.h"
#include "transport/socket/read_queue.h"
#include "transport/socket/wait_list.h"
#include "transport/socket/write_queue.h"

namespace uaio {

class Socket final : public Descriptor {
public:
    // Takes over `fd`, a connected stream socket.
    Socket(EngineCore& core, int fd, const StreamOptions& options) noexcept;

    WriteQueue& writes() noexcept { return writes_; }
    ReadQueue& reads() noexcept { return reads_; }
    // Who waits for a direction without transferring anything.
    WaitList& writable() noexcept { return writable_; }
    WaitList& readable() noexcept { return readable_; }
    // No transfer in that direction is queued or in the kernel.
    bool has_no_transfer(Direction direction) const noexcept {
        return direction == Direction::send ? writes_.is_idle() : reads_.is_idle();
    }

    // Whether an end of stream is a reset of the peer's in truth. The kernel tells of a reset once,
    // to whichever call meets it first, and not at all to a MSG_WAITALL transfer that had got some
    // bytes; a read behind that sees an end.
    bool was_reset() noexcept;

    // The peer has reset the connection in the middle of a write: closes it, after what the peer
    // had sent before, which may say why, has been read.
    void end_writing() noexcept;
    bool is_read_only() const noexcept { return read_only_; }

    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void start_read(Aio& aio) noexcept;
    static void start_read_all(Aio& aio) noexcept;
    static void start_wait_writable(Aio& aio) noexcept;
    static void start_wait_readable(Aio& aio) noexcept;

private:
    template <auto kQueue>
    static void start(Aio& aio, bool all) noexcept;
    template <auto kList>
    static void start_wait(Aio& aio) noexcept;
    void end_operations() noexcept override;
    bool in_kernel() const noexcept override {
        return writes_.in_kernel() || reads_.in_kernel() || writable_.in_kernel() ||
               readable_.in_kernel();
    }
    bool holds_aios() const noexcept override { return in_kernel() || writes_.holds_aios(); }

    WriteQueue writes_;
    ReadQueue reads_;
    WaitList writable_{*this, Direction::send};
    WaitList readable_{*this, Direction::receive};
    bool read_only_ = false;
};

}  // namespace uaio
