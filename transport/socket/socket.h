// The engine's side of a connected socket: its writes and its reads. TCP and unix streams differ
// only in how they are opened.
#pragma once

#include "transport/socket/byte_wait.h"
#include "transport/socket/descriptor.h"
#include "transport/socket/read_queue.h"
#include "transport/socket/wait_list.h"
#include "transport/socket/write_queue.h"

#include <cstddef>

namespace uaio {

class Socket final : public Descriptor {
public:
    // Takes over `fd`, a connected stream socket.
    Socket(EngineCore& core, int fd, const StreamOptions& options) noexcept;
    // Memory for the user's handle, which does not outlive this object.
    static constexpr std::size_t kHandleSize = 6 * sizeof(void*);
    void* room_for_handle() noexcept { return handle_; }

    WriteQueue& writes() noexcept { return writes_; }
    ReadQueue& reads() noexcept { return reads_; }
    // Aios that wait for a direction without transferring anything.
    WaitList& writable() noexcept { return writable_; }
    WaitList& readable() noexcept { return readable_; }
    ByteWait& awaited() noexcept { return awaited_; }
    // No transfer in that direction is queued or in the kernel.
    bool has_no_transfer(Direction direction) const noexcept {
        if (direction == Direction::send) return writes_.is_idle();
        return reads_.is_idle() && !awaited_.in_kernel();
    }

    // True if an end of stream was a reset by the peer. The kernel reports a reset once, to the
    // first call that meets it, and never to a MSG_WAITALL transfer that already has bytes; a later
    // read sees an end.
    bool was_reset() noexcept;

    // Closes a connection that the peer reset in the middle of a write, after the bytes that the
    // peer sent before, which may say why, have been read.
    void end_writing() noexcept;
    bool is_read_only() const noexcept { return read_only_; }

    // Any thread. True inside a turn of the socket's engine, which therefore exists.
    bool is_in_turn() const noexcept { return EngineCore::turns_here(core()); }
    // The verbs of writing, elsewhere than in a turn. Another thread than the engine's sends by
    // itself if the socket is idle, and otherwise posts the operation. Any thread.
    void write_outside_turn(Aio& aio, bool all) noexcept;

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
    // Of write_outside_turn().
    template <bool kAll>
    static void start_posted(Aio& aio) noexcept;
    template <bool kAll>
    static void start_rest(Aio& aio) noexcept;
    void write_on_other_thread(Aio& aio, bool all) noexcept;
    void send_here(Aio& aio, bool all, std::size_t bytes) noexcept;
    std::size_t bytes_to_send_here(Aio& aio) noexcept;
    void return_right() noexcept;
    void end_operations() noexcept override;
    bool in_kernel() const noexcept override {
        return writes_.in_kernel() || reads_.in_kernel() || awaited_.in_kernel() ||
               writable_.in_kernel() || readable_.in_kernel();
    }
    bool holds_aios() const noexcept override { return in_kernel() || writes_.holds_aios(); }
    bool may_have_unread() const noexcept override { return !reads_.has_ended(); }

    WriteQueue writes_;
    ReadQueue reads_;
    WaitList writable_{*this, Direction::send};
    WaitList readable_{*this, Direction::receive};
    ByteWait awaited_{*this};
    Mail right_returned_{*this};
    bool read_only_ = false;
    alignas(void*) std::byte handle_[kHandleSize];
};

}  // namespace uaio
