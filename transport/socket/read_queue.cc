#include "transport/socket/read_queue.h"

#include "aio/usual_start.h"
#include "base/check.h"
#include "transport/socket/socket.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"

#include <algorithm>
#include <cerrno>

#include <liburing.h>

namespace uaio {
namespace {

constexpr std::size_t kReceiveBytesMax = 0x7ffff000;  // MAX_RW_COUNT, see read(2)

struct ReadNote {
    std::size_t left;  // bytes of the buffers still to fill
    bool all;          // until the buffers are full, not just some bytes
};

}  // namespace

// A receive is in flight exactly while an operation is queued: the front's.
bool ReadQueue::invariants_hold() const noexcept {
    return receiving_ == !queue_.empty() && (queued_ == 0) == queue_.empty();
}

void ReadQueue::submit(Aio& aio, bool all, std::size_t bytes) noexcept {
    if (limit_ != 0 && queued_ >= limit_) return Provider::finish(aio, Errc::no_buffer_space);
    put_note(aio, ReadNote{.left = bytes, .all = all});
    DCHECK(invariants_hold());
    if (!receiving_ && bytes == 0) return Provider::finish(aio, {});
    if (!receiving_ && end_) return Provider::finish(aio, end_);
    queue_.push(aio);
    ++queued_;
    if (receiving_) return Provider::park_untracked(aio, &on_cancel);
    receive(aio);
}

inline bool ReadQueue::start_usual(Aio& aio, bool all) noexcept {
    const iovec* const buffer = UsualStart::only_buffer(aio, kReceiveBytesMax);
    if (!buffer || queued_ != 0 || !is_open_ || end_) return false;
    EngineCore& core = socket_.core();
    if (!UsualStart::accept(core, aio, &socket_)) return false;
    DCHECK(!socket_.closed() && invariants_hold());
    put_note(aio, ReadNote{.left = buffer->iov_len, .all = all});
    queue_.push_only(aio);
    queued_ = 1;
    receiving_ = true;
    const int flags = all && core.kernel().features().send_waitall ? MSG_WAITALL : 0;
    io_uring_sqe& sqe = UsualStart::begin<&on_completion>(core, aio);
    io_uring_prep_recv(&sqe, socket_.fd(), buffer->iov_base, buffer->iov_len, flags);
    if (drained_) sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
    return true;
}

void ReadQueue::submit_in_turn(Aio& aio, bool all) noexcept {
    if (start_usual(aio, all)) [[likely]]
        return;
    Provider::submit(socket_.engine(), aio, all ? &Socket::start_read_all : &Socket::start_read,
                     &socket_);
}

void ReadQueue::close() noexcept {
    is_open_ = false;
    cancel_all(queue_, Errc::closed);
}

void ReadQueue::leave(Aio& aio) noexcept {
    DCHECK(queued_ > 0);
    queue_.remove(aio);
    --queued_;
}

// Only for queued operations; the front is in the kernel.
void ReadQueue::on_cancel(Aio& aio) noexcept {
    ReadQueue& self = static_cast<Socket*>(Provider::owner(aio))->reads();
    self.leave(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

inline void ReadQueue::start_next() noexcept {
    if (queue_.empty()) [[likely]]
        return socket_.readable().on_idle();
    receive_next();
}

void ReadQueue::receive_next() noexcept {
    while (Aio* front = queue_.front()) {
        const bool wants_bytes = note_in<ReadNote>(*front).left > 0;
        if (wants_bytes && !end_) return receive(*front);
        leave(*front);
        Provider::finish(*front, wants_bytes ? end_ : std::error_code());
    }
    socket_.readable().on_idle();
}

void ReadQueue::receive(Aio& front) noexcept {
    DCHECK(!receiving_ && &front == queue_.front() && !end_ && !socket_.closed());
    EngineCore& core = socket_.core();
    receiving_ = true;
    io_uring_sqe& sqe = Provider::begin<&on_completion>(front);
    // As for sends: kernels with SENDMSG_ZC keep the partial count of a cancelled MSG_WAITALL.
    const int flags =
        note_in<ReadNote>(front).all && core.kernel().features().send_waitall ? MSG_WAITALL : 0;
    const std::span<iovec> entries = Provider::cursor(front).rest();
    if (entries.size() == 1) {
        const std::size_t size = std::min(entries[0].iov_len, kReceiveBytesMax);
        io_uring_prep_recv(&sqe, socket_.fd(), entries[0].iov_base, size, flags);
    } else {
        message_.msg_iov = entries.data();
        message_.msg_iovlen = entries.size();
        io_uring_prep_recvmsg(&sqe, socket_.fd(), &message_, static_cast<unsigned>(flags));
    }
    // Skips the attempt that would find nothing (5.19).
    if (drained_) sqe.ioprio = IORING_RECVSEND_POLL_FIRST;
}

// True if the operation is the only one, got all that it waits for, and the socket has nothing else
// to do: one that is read-only closes only at an end.
inline bool ReadQueue::is_usual_end(Aio& aio, int result) noexcept {
    const ReadNote& note = note_in<ReadNote>(aio);
    return result > 0 && queued_ == 1 &&
           (!note.all || note.left == static_cast<std::size_t>(result)) && is_open_ &&
           !socket_.readable().has_parked();
}

Outcome ReadQueue::on_completion(Aio& aio, int result, unsigned flags) noexcept {
    ReadQueue& self = static_cast<Socket*>(Provider::owner(aio))->reads();
    if (!self.is_usual_end(aio, result)) [[unlikely]]
        return on_other_completion(aio, result, flags);
    DCHECK(&aio == self.queue_.front() && self.receiving_);
    Provider::add_count(aio, static_cast<std::size_t>(result));
    self.drained_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    self.queue_.remove_only();
    self.queued_ = 0;
    self.receiving_ = false;
    return Outcome::finished;
}

Outcome ReadQueue::on_other_completion(Aio& aio, int result, unsigned flags) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    const Outcome outcome = socket.reads().on_received(aio, result, flags);
    if (socket.is_read_only() && socket.reads().end_) socket.close_here();
    socket.continue_close();  // may free the socket
    return outcome;
}

Outcome ReadQueue::on_received(Aio& aio, int result, unsigned flags) noexcept {
    DCHECK(&aio == queue_.front());
    receiving_ = false;
    bool ended = false;
    if (result > 0) [[likely]] {
        const auto bytes = static_cast<std::size_t>(result);
        drained_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
        ReadNote& note = note_in<ReadNote>(aio);
        DCHECK(bytes <= note.left);
        note.left -= bytes;
        ended = note.left == 0 || !note.all;
        // Moves the cursor only if another receive needs it.
        ended ? Provider::add_count(aio, bytes) : Provider::advance(aio, bytes);
    }
    if (!ended) ended = ends_without_bytes(aio, result);
    if (ended) leave(aio);
    start_next();
    DCHECK(invariants_hold());
    return ended ? Outcome::finished : Outcome::pending;
}

// True if the operation gets no more bytes; sets its error.
bool ReadQueue::ends_without_bytes(Aio& aio, int result) noexcept {
    std::error_code error = Provider::cancel_reason(aio);
    if (!error && result != -EINTR && result != -EAGAIN) error = error_of(result);
    if (!error) return false;
    Provider::set_error(aio, error);
    return true;
}

std::error_code ReadQueue::on_receive(int result, unsigned flags) noexcept {
    DCHECK(!receiving_);
    if (result <= 0) return error_of(result);
    drained_ = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    return {};
}

// The error of a receive without bytes. An end is sticky: the kernel reports some ends only once.
std::error_code ReadQueue::error_of(int result) noexcept {
    DCHECK(!end_);
    if (socket_.is_read_only()) return end_ = Errc::closed;
    if (result == 0) {
        end_ = socket_.was_reset() ? Errc::connection_reset : Errc::end_of_stream;
        return end_;
    }
    const std::error_code error = error_from_result(result);
    if (result == -ECONNRESET || result == -ETIMEDOUT) end_ = error;
    return error;
}

Transferred ReadQueue::try_receive(std::span<std::byte> bytes) noexcept {
    DCHECK(!bytes.empty() && socket_.core().on_thread());
    if (receiving_) return {Errc::operation_would_block};
    if (end_) return {end_};
    Kernel& kernel = socket_.core().kernel();
    const std::int64_t result = kernel.receive_at_once(socket_.fd(), bytes.data(), bytes.size());
    if (result > 0) {
        drained_ = static_cast<std::size_t>(result) < bytes.size();
        return {{}, static_cast<std::size_t>(result)};
    }
    if (result == -EAGAIN || result == -EINTR) return {Errc::operation_would_block};
    return {error_of(static_cast<int>(result))};
}

}  // namespace uaio
