#include "transport/socket/write_queue.h"

#include "aio/usual_start.h"
#include "base/check.h"
#include "engine/kernel/features.h"
#include "transport/socket/socket.h"
#include "transport/socket/write_note.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"

#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <liburing.h>

namespace uaio {
namespace {

// The most that one send reports: the kernel's MAX_RW_COUNT. send(2) clamps to it; clamped here
// too, since the length in a submission entry has 32 bits.
constexpr std::size_t kSendBytesMax = 0x7ffff000;

// A thread that writes more should not wait for the copy.
constexpr std::size_t kDirectBytes = 32 * 1024;

// Counts sent bytes; true if they complete the operation. Moves the cursor only if another send
// needs it: a write sent in one piece costs no pass over its buffers.
bool take_share(Aio& aio, std::size_t bytes) noexcept {
    WriteNote& note = note_in<WriteNote>(aio);
    DCHECK(bytes <= note.left && !note.ended);
    note.left -= bytes;
    if (note.left == 0 || (!note.all && bytes > 0)) {
        Provider::add_count(aio, bytes);
        return true;
    }
    Provider::advance(aio, bytes);
    return false;
}

}  // namespace

WriteQueue::WriteQueue(Socket& socket, const StreamOptions& options) noexcept
    : socket_(socket),
      limit_(options.queue_limit),
      zero_copy_(options.zero_copy, socket.core().kernel().features()),
      direct_bytes_(socket.core().kernel().features().calls_on_any_thread
                        ? std::min(kDirectBytes, zero_copy_.least() - 1)
                        : 0),
      wait_all_(socket.core().kernel().features().send_waitall) {}

// A send is in flight exactly while an operation is queued, unless a write failed half-way or
// another thread sends; only queued operations take part in it.
bool WriteQueue::invariants_hold() const noexcept {
    if ((queued_ == 0) != queue_.empty() || sending_ > queued_) return false;
    if (sending_ > 0 && awaits_right_) return false;
    return failed_ || awaits_right_ || (sending_ > 0) == (queued_ > 0);
}

void WriteQueue::submit(Aio& aio, bool all, std::size_t bytes) noexcept {
    if (limit_ != 0 && queued_ >= limit_) return Provider::finish(aio, Errc::no_buffer_space);
    put_note(aio, WriteNote{.left = bytes, .all = all});
    DCHECK(!failed_ && invariants_hold());
    if (bytes == 0 && is_idle()) return Provider::finish(aio, {});
    queue_.push(aio);
    ++queued_;
    if (sending_ > 0 || !owns_right()) return Provider::park_untracked(aio, &on_cancel);
    lend(aio);
    send_front(aio);
}

inline bool WriteQueue::start_usual(Aio& aio, bool all) noexcept {
    if (queued_ != 0 || !is_open_) return false;
    const iovec* const buffer = UsualStart::only_buffer(aio, kSendBytesMax);
    Admission admission;
    if (buffer) {
        admission.bytes = buffer->iov_len;
    } else {
        admission = check_buffers(Provider::cursor(aio));
    }
    if (admission.refused != Errc{} || admission.bytes == 0) return false;
    if (zero_copy_.may_send(admission.bytes)) return false;
    EngineCore& core = socket_.core();
    if (!owns_right() || !UsualStart::accept(core, aio, &socket_)) return false;
    DCHECK(!failed_ && !socket_.closed() && invariants_hold());
    put_note(aio, WriteNote{.left = admission.bytes, .all = all});
    queue_.push_only(aio);
    queued_ = 1;
    sending_ = 1;
    lending_ = 0;
    const int flags = all && wait_all_ ? MSG_NOSIGNAL | MSG_WAITALL : MSG_NOSIGNAL;
    io_uring_sqe& sqe = UsualStart::begin<&on_completion>(core, aio);
    if (buffer) {
        io_uring_prep_send(&sqe, socket_.fd(), buffer->iov_base, buffer->iov_len, flags);
        return true;
    }
    const std::span<iovec> entries = Provider::cursor(aio).rest();
    message_.msg_iov = entries.data();
    message_.msg_iovlen = entries.size();
    io_uring_prep_sendmsg(&sqe, socket_.fd(), &message_, static_cast<unsigned>(flags));
    return true;
}

void WriteQueue::submit_in_turn(Aio& aio, bool all) noexcept {
    if (start_usual(aio, all)) [[likely]]
        return;
    Provider::submit(socket_.engine(), aio, all ? &Socket::start_write_all : &Socket::start_write,
                     &socket_);
}

// After close() the right stays with the engine, since offer() then has no effect.
void WriteQueue::close() noexcept {
    static_cast<void>(owns_right());
    is_open_ = false;
    cancel_all(queue_, Errc::closed);
}

void WriteQueue::leave(Aio& aio) noexcept {
    DCHECK(queued_ > 0);
    queue_.remove(aio);
    --queued_;
}

// Cancels a queued Aio. A member of a gathered send cannot leave before the kernel reports the
// count, so the send is interrupted, without a cancel reason for its front.
void WriteQueue::on_cancel(Aio& aio) noexcept {
    WriteQueue& self = static_cast<Socket*>(Provider::owner(aio))->writes();
    Aio* member = self.queue_.front();
    for (unsigned i = 0; i < self.sending_; ++i, member = AioQueue::next(*member)) {
        if (member != &aio) continue;
        Provider::interrupt(*self.queue_.front());
        return Provider::park_untracked(aio, &on_cancel);  // the interrupt may be lost
    }
    self.leave(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

// --- Down: the next send ---

inline void WriteQueue::start_next() noexcept {
    if (queue_.empty()) [[likely]] {
        if (held_ > 0 && zero_copy_.is_automatic()) zero_copy_.on_idle(socket_.core().now_ns());
        return become_idle();
    }
    send_next();
}

void WriteQueue::send_next() noexcept {
    DCHECK(sending_ == 0);
    while (Aio* front = queue_.front()) {
        if (note_in<WriteNote>(*front).left > 0) {
            const bool alone = lend(*front) || !AioQueue::next(*front);
            if (alone || !send_gathered(*front)) send_front(*front);
            return;
        }
        leave(*front);
        Provider::finish(*front, {});
    }
    become_idle();
}

// Decides whether the next send, of the front alone, is a zero-copy send.
inline bool WriteQueue::lend(Aio& front) noexcept {
    DCHECK(sending_ == 0 && &front == queue_.front());
    const bool copies = std::exchange(copy_once_, false);
    const std::size_t bytes = note_in<WriteNote>(front).left;
    lending_ = 0;
    if (zero_copy_.may_send(bytes)) [[unlikely]] {
        if (!copies) lending_ = lend_large(front, bytes);
    }
    return lending_ > 0;
}

// Returns the bytes to send without a copy, counted against the engine's limit; 0: none.
std::size_t WriteQueue::lend_large(Aio& front, std::size_t bytes) noexcept {
    EngineCore& core = socket_.core();
    const std::span<iovec> entries = Provider::cursor(front).rest();
    const ZeroCopyChoice::Send send{
        .bytes = bytes,
        .entries = entries.size(),
        .has_deadline = Provider::has_deadline(front),
        .now_ns = zero_copy_.is_automatic() ? core.now_ns() : 0,
    };
    if (!zero_copy_.should_send(core.kernel(), socket_.fd(), send)) return 0;
    bytes = std::min(bytes, kSendBytesMax);
    const bool may_register = entries.size() == 1 || core.kernel().features().registered_lists;
    arena_ = may_register ? core.locked().buffers.arena_of(entries) : -1;
    if (arena_ >= 0) {  // locked already
        core.counters().registered_sends.add();
    } else {
        if (!core.locked().lent.lend(bytes)) return 0;
        note_in<WriteNote>(front).lent += bytes;
    }
    zero_copy_.on_begin();
    core.counters().zero_copy_sends.add();
    return bytes;
}

// The result of a zero-copy send: the kernel keeps the bytes that it sent, until a notification.
void WriteQueue::end_loan(Aio& carrier, int result, unsigned flags) noexcept {
    DCHECK(sending_ == 1 && lending_ > 0);
    const bool notifies = (flags & IORING_CQE_F_MORE) != 0;
    if (notifies) {
        ++Provider::notifications(carrier);
    } else {
        zero_copy_.on_end_without_notification();
    }
    const std::size_t kept = notifies && result > 0 ? static_cast<std::size_t>(result) : 0;
    DCHECK(kept <= lending_);
    if (arena_ >= 0) return;
    note_in<WriteNote>(carrier).lent -= lending_ - kept;
    socket_.core().locked().lent.give_back(lending_ - kept);
}

void WriteQueue::send_front(Aio& front) noexcept {
    sending_ = 1;
    // MSG_WAITALL where the kernel keeps the count of a cancelled send.
    const bool wait_all = note_in<WriteNote>(front).all && wait_all_;
    send(front, Provider::cursor(front).rest(), wait_all ? MSG_WAITALL : 0);
}

// Sends several small writes at once. Without MSG_WAITALL, so that a last one without room does not
// delay the first.
bool WriteQueue::send_gathered(Aio& front) noexcept {
    std::size_t bytes = 0;
    std::size_t entries = 0;
    unsigned members = 0;
    for (Aio* aio = &front; aio; aio = AioQueue::next(*aio)) {
        const std::span<iovec> rest = Provider::cursor(*aio).rest();
        bytes += note_in<WriteNote>(*aio).left;
        entries += rest.size();
        if (bytes > kGatherBytes || entries > kGatherEntries) break;
        ++members;
    }
    if (members < 2) return false;
    if (!gathered_) gathered_.reset(new (std::nothrow) iovec[kGatherEntries]);
    if (!gathered_) return false;
    iovec* out = gathered_.get();
    Aio* aio = &front;
    for (unsigned i = 0; i < members; ++i, aio = AioQueue::next(*aio)) {
        out = std::ranges::copy(Provider::cursor(*aio).rest(), out).out;
    }
    DCHECK(out <= gathered_.get() + kGatherEntries);
    sending_ = members;
    socket_.core().counters().gathered_writes.add(members);
    send(front, {gathered_.get(), out}, 0);
    return true;
}

void WriteQueue::send(Aio& front, std::span<iovec> entries, int flags) noexcept {
    DCHECK(sending_ > 0 && &front == queue_.front() && !entries.empty() && !socket_.closed());
    io_uring_sqe& sqe = Provider::begin<&on_completion>(front);
    const int fd = socket_.fd();
    flags |= MSG_NOSIGNAL;
    if (lending_ > 0) [[unlikely]]
        return prepare_zero_copy(sqe, entries, flags);
    if (entries.size() == 1) {
        const std::size_t size = std::min(entries[0].iov_len, kSendBytesMax);
        return io_uring_prep_send(&sqe, fd, entries[0].iov_base, size, flags);
    }
    message_.msg_iov = entries.data();
    message_.msg_iovlen = entries.size();
    io_uring_prep_sendmsg(&sqe, fd, &message_, static_cast<unsigned>(flags));
}

void WriteQueue::prepare_zero_copy(io_uring_sqe& sqe, std::span<iovec> entries,
                                   int flags) noexcept {
    const int fd = socket_.fd();
    if (entries.size() == 1) {
        DCHECK(lending_ <= entries[0].iov_len);
        io_uring_prep_send_zc(&sqe, fd, entries[0].iov_base, lending_, flags, 0);
    } else {
        message_.msg_iov = entries.data();
        message_.msg_iovlen = entries.size();
        io_uring_prep_sendmsg_zc(&sqe, fd, &message_, static_cast<unsigned>(flags));
    }
    unsigned options = 0;
    if (socket_.core().kernel().features().report_zero_copy_usage) options |= kSendZcReportUsage;
    if (arena_ >= 0) {
        options |= IORING_RECVSEND_FIXED_BUF;
        sqe.buf_index = static_cast<__u16>(arena_);
    }
    sqe.ioprio = static_cast<__u16>(options);
}

Transferred WriteQueue::try_send(std::span<const std::byte> bytes) noexcept {
    DCHECK(!bytes.empty() && socket_.core().on_thread());
    if (sending_ > 0 || !owns_right()) return {Errc::operation_would_block};
    Kernel& kernel = socket_.core().kernel();
    return transferred(kernel.send_at_once(socket_.fd(), bytes.data(), bytes.size()));
}

Transferred WriteQueue::transferred(std::int64_t result) noexcept {
    if (result > 0) [[likely]]
        return {{}, static_cast<std::size_t>(result)};
    if (result == -EAGAIN || result == -EINTR) return {Errc::operation_would_block};
    return {error_from_result(result < 0 ? static_cast<int>(result) : -EIO)};
}

// tls_sw_sendmsg() rejects MSG_WAITALL and MSG_ZEROCOPY.
std::error_code WriteQueue::start_encrypting(std::span<const std::byte> info) noexcept {
    DCHECK(sending_ == 0 && held_ == 0);
    if (!owns_right()) return Errc::operation_would_block;
    Kernel& kernel = socket_.core().kernel();
    int result = kernel.set_option(socket_.fd(), IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls");
    if (result == 0) {
        result = kernel.set_option(socket_.fd(), SOL_TLS, TLS_TX, info.data(),
                                   static_cast<socklen_t>(info.size()));
    }
    if (result < 0) return error_from_result(result);
    zero_copy_.end();
    wait_all_ = false;
    return {};
}

Transferred WriteQueue::try_send_record(std::uint8_t type,
                                        std::span<const std::byte> bytes) noexcept {
    if (sending_ > 0 || !owns_right()) return {Errc::operation_would_block};
    Kernel& kernel = socket_.core().kernel();
    return transferred(kernel.send_record_at_once(socket_.fd(), type, bytes.data(), bytes.size()));
}

// --- Up: completions ---

// True if the operation is the only one, was sent in one piece, and the socket has nothing else to
// do.
inline bool WriteQueue::is_usual_end(Aio& aio, int result, unsigned flags) noexcept {
    constexpr unsigned kUnusual = IORING_CQE_F_NOTIF | IORING_CQE_F_MORE;
    return (flags & kUnusual) == 0 && queued_ == 1 && lending_ == 0 && held_ == 0 &&
           Provider::notifications(aio) == 0 &&
           note_in<WriteNote>(aio).left == static_cast<std::size_t>(result) && !lends_ &&
           is_open_ && !socket_.writable().has_parked();
}

Outcome WriteQueue::on_completion(Aio& aio, int result, unsigned flags) noexcept {
    WriteQueue& self = static_cast<Socket*>(Provider::owner(aio))->writes();
    if (!self.is_usual_end(aio, result, flags)) [[unlikely]]
        return on_other_completion(aio, result, flags);
    DCHECK(&aio == self.queue_.front() && self.sending_ == 1);
    Provider::add_count(aio, static_cast<std::size_t>(result));
    self.queue_.remove_only();
    self.queued_ = 0;
    self.sending_ = 0;
    return Outcome::finished;
}

Outcome WriteQueue::on_other_completion(Aio& aio, int result, unsigned flags) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    WriteQueue& self = socket.writes();
    const Outcome outcome = (flags & IORING_CQE_F_NOTIF) ? self.on_notification(aio, result)
                                                         : self.on_sent(aio, result, flags);
    DCHECK(self.invariants_hold());
    if (self.failed_) [[unlikely]]
        self.reset_ ? socket.end_writing() : socket.close_here();
    socket.continue_close();  // may free the socket
    return outcome;
}

Outcome WriteQueue::on_notification(Aio& aio, int result) noexcept {
    EngineCore& core = socket_.core();
    const bool copied = (static_cast<unsigned>(result) & kNotifUsageZcCopied) != 0;
    if (copied) core.counters().zero_copy_copied.add();
    zero_copy_.on_notification(copied);
    std::uint16_t& notifications = Provider::notifications(aio);
    DCHECK(notifications > 0);
    --notifications;
    // Still in the queue: the notification was for an earlier, short send.
    WriteNote& note = note_in<WriteNote>(aio);
    if (notifications > 0 || !note.ended) return Outcome::pending;
    DCHECK(held_ > 0);
    --held_;
    core.locked().lent.give_back(note.lent);
    if (zero_copy_.is_automatic()) {
        zero_copy_.on_release(aio.count(), sending_ == 0, core.now_ns());
    }
    return Outcome::finished;
}

Outcome WriteQueue::on_sent(Aio& carrier, int result, unsigned flags) noexcept {
    DCHECK(&carrier == queue_.front());
    if (lending_ > 0) [[unlikely]]
        end_loan(carrier, result, flags);
    if (sending_ != 1 || result <= 0) return on_sent_otherwise(carrier, result);
    Outcome outcome = Outcome::pending;
    if (take_share(carrier, static_cast<std::size_t>(result))) [[likely]] {
        leave(carrier);
        outcome = settle(carrier);
    } else {
        socket_.core().counters().short_writes.add();
        end_asked(carrier, 0, outcome);
    }
    sending_ = 0;
    if (!failed_) start_next();
    return outcome;
}

// Handles a gathered send, or one without a byte sent.
Outcome WriteQueue::on_sent_otherwise(Aio& carrier, int result) noexcept {
    Outcome outcome = Outcome::pending;
    int failure = 0;
    if (result > 0) {
        deal_out(carrier, static_cast<std::size_t>(result), outcome);
    } else if (!retry(result)) {
        // A send of at least one byte never reports 0; retries would never end.
        failure = result < 0 ? result : -EIO;
    }
    end_asked(carrier, failure, outcome);
    sending_ = 0;
    if (!failed_) start_next();
    return outcome;
}

void WriteQueue::deal_out(Aio& carrier, std::size_t bytes, Outcome& outcome) noexcept {
    while (sending_ > 0) {
        Aio& aio = *queue_.front();
        const std::size_t share = std::min(bytes, note_in<WriteNote>(aio).left);
        bytes -= share;
        if (!take_share(aio, share)) {
            if (share > 0) socket_.core().counters().short_writes.add();
            break;
        }
        --sending_;
        end(aio, carrier, {}, outcome);
    }
    DCHECK(bytes == 0);  // the kernel sent no more than it was given
}

// Ends members of the send that are incomplete, and were cancelled meanwhile or failed.
void WriteQueue::end_asked(Aio& carrier, int failure, Outcome& outcome) noexcept {
    Aio* aio = queue_.front();
    for (; sending_ > 0; --sending_) {
        Aio* const behind = AioQueue::next(*aio);
        std::error_code error = Provider::cancel_reason(*aio);
        const bool asked = static_cast<bool>(error);
        if (!error && failure != 0 && aio == &carrier) error = error_from_result(failure);
        if (error) {
            if (aio->count() > 0) {
                failed_ = true;
                reset_ = !asked && error == Errc::connection_reset;
            }
            end(*aio, carrier, error, outcome);
        }
        aio = behind;
    }
}

void WriteQueue::end(Aio& aio, Aio& carrier, std::error_code error, Outcome& outcome) noexcept {
    leave(aio);
    if (&aio != &carrier) return Provider::finish(aio, error);
    if (error) Provider::set_error(aio, error);
    outcome = settle(aio);
}

// The carrier is out of the queue, and ends when the kernel no longer uses its bytes.
Outcome WriteQueue::settle(Aio& carrier) noexcept {
    if (Provider::notifications(carrier) == 0) [[likely]]
        return Outcome::finished;
    note_in<WriteNote>(carrier).ended = true;
    ++held_;
    return Outcome::pending;
}

// True for a failure that another send can overcome.
bool WriteQueue::retry(int result) noexcept {
    switch (result) {
        case -EINTR:  // a signal came before the first byte
        case -EAGAIN: return true;
        // Meant for a member of this send or the one before: end_asked() ends a front that was
        // cancelled itself.
        case -ECANCELED: return true;
        case -ENOMEM:
            // No more pages may be locked (RLIMIT_MEMLOCK), or memory is short.
            if (lending_ == 0) return false;
            zero_copy_.on_no_memory();
            copy_once_ = true;
            return true;
        case -EOPNOTSUPP:
            // Not a TCP or UDP socket, or one with a ULP such as kTLS.
            if (lending_ == 0) return false;
            zero_copy_.end();
            return true;
        default: return false;
    }
}

}  // namespace uaio
