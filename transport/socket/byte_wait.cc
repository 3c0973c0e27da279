#include "transport/socket/byte_wait.h"

#include "base/check.h"
#include "transport/socket/socket.h"

#include <cerrno>
#include <utility>

#include <liburing.h>

namespace uaio {

ByteWait::ByteWait(Socket& socket) noexcept : socket_(socket) {
    Completion::handler = &on_completion;
    Completion::finish = &on_finished;
}

bool ByteWait::begin(IdleReceive::Received received, void* owner) noexcept {
    EngineCore& core = socket_.core();
    DCHECK(core.on_thread() && !in_kernel() && socket_.reads().is_idle());
    const bool usual = !socket_.closed() && !socket_.is_read_only() && !socket_.reads().has_ended();
    if (!usual || !core.locked().received.is_ready()) return false;
    received_ = received;
    owner_ = owner;
    reason_ = Errc{};
    core.loop().count_operation();
    core.loop().announce_work();
    // A late cancel of an earlier wait must not find this one.
    std::atomic<std::uint32_t>& number = Completion::generation;
    number.store(number.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    receive();
    return true;
}

void ByteWait::receive() noexcept {
    EngineCore& core = socket_.core();
    io_uring_sqe& sqe = core.loop().ring().begin(*this);
    core.locked().received.prepare(sqe, socket_.fd());
    // Skips the attempt that would find nothing (5.19).
    if (socket_.reads().is_drained()) sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
}

void ByteWait::cancel(Errc reason) noexcept {
    DCHECK(reason != Errc{});
    if (!in_kernel() || reason_ != Errc{}) return;
    reason_ = reason;
    socket_.core().loop().ring().cancel(*this);
}

Outcome ByteWait::on_completion(Completion& completion, int result, unsigned flags) noexcept {
    ByteWait& self = of(completion);
    DCHECK(self.in_kernel());
    const bool again = result == -ENOBUFS || result == -EINTR || result == -EAGAIN;
    if (again && self.reason_ == Errc{}) {
        // By the time that the kernel sees the next attempt, all completions have given theirs
        // back.
        BufferRing& buffers = self.socket_.core().locked().received;
        if (result == -ENOBUFS) buffers.grow();
        buffers.give_back(flags);
        self.receive();
        return Outcome::pending;
    }
    self.end_ = {result, flags};
    return Outcome::finished;
}

std::error_code ByteWait::error_of_end() noexcept {
    if (end_.result <= 0 && reason_ != Errc{}) return reason_;
    return socket_.reads().on_receive(end_.result, end_.flags);
}

void ByteWait::on_finished(Completion& completion) noexcept {
    ByteWait& self = of(completion);
    Socket& socket = self.socket_;
    BufferRing& buffers = socket.core().locked().received;
    const std::error_code error = self.error_of_end();
    const unsigned flags = self.end_.flags;
    std::span<char> bytes = buffers.buffer_of(flags);
    if (error) bytes = {};
    if (!error) bytes = bytes.first(static_cast<std::size_t>(self.end_.result));
    void* const owner = self.owner_;
    const IdleReceive::Received received = std::exchange(self.received_, nullptr);
    if (socket.is_read_only() && socket.reads().has_ended()) socket.close_here();
    socket.continue_close();  // may free the socket
    received(owner, error, bytes);
    buffers.give_back(flags);
}

}  // namespace uaio
