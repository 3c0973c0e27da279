// Writes that another thread than the engine's sends itself: to an idle socket, without a turn of
// the engine.
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/socket/socket.h"
#include "transport/socket/write_note.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"

#include <cerrno>

namespace uaio {
namespace {

// True for the result of a send that the engine can try again. EPIPE stays, and the engine knows
// whether its own close is the cause.
bool may_be_repeated(std::int64_t result) noexcept {
    return result == -EAGAIN || result == -EINTR || result == -ENOBUFS || result == -ENOMEM ||
           result == -EPIPE;
}

}  // namespace

// ---- the engine's thread

// An engine that takes the right keeps it until another thread writes again: a stream that one
// thread uses pays for one exchange.
bool WriteQueue::take_right() noexcept {
    lends_ = false;
    if (!right_.take()) awaits_right_ = true;
    return !awaits_right_;
}

void WriteQueue::offer() noexcept {
    if (!lends_ || !is_idle() || failed_ || socket_.closed() || socket_.is_read_only()) return;
    DCHECK(queue_.empty());
    if (right_.is_engines()) right_.offer();
}

void WriteQueue::submit_rest(Aio& aio, bool all) noexcept {
    right_.regain();
    awaits_right_ = false;
    lends_ = true;
    if (aio.count() > 0) socket_.core().counters().short_writes.add();
    if (socket_.closed()) {
        Provider::finish(aio, Errc::closed);
        return on_right_returned();
    }
    put_note(aio, WriteNote{.left = Provider::cursor(aio).remaining(), .all = all});
    DCHECK(sending_ == 0 && note_in<WriteNote>(aio).left > 0);
    queue_.push_front(aio);
    ++queued_;
    send_next();
}

void WriteQueue::on_right_returned() noexcept {
    awaits_right_ = false;
    DCHECK(sending_ == 0 && right_.is_engines());
    if (!queue_.empty() && !socket_.closed()) return send_next();
    become_idle();
}

void WriteQueue::become_idle() noexcept {
    if (lends_) [[unlikely]]
        offer();
    socket_.writable().on_idle();
}

// A posted write that has arrived at the engine.
template <bool kAll>
void Socket::start_posted(Aio& aio) noexcept {
    WriteQueue& writes = static_cast<Socket*>(Provider::owner(aio))->writes();
    writes.posted_arrived();
    kAll ? start_write_all(aio) : start_write(aio);
    writes.offer();
}

// A write whose thread had the right to send, and sent a part of it, or nothing.
template <bool kAll>
void Socket::start_rest(Aio& aio) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    socket.writes().submit_rest(aio, kAll);
    socket.continue_close();  // may free the socket
}

// ---- another thread

void Socket::write_outside_turn(Aio& aio, bool all) noexcept {
    if (!is_engine_gone() && !core().on_thread()) {
        const Arrival arrival(*this);
        const bool usual = arrival && !core().is_over() && &aio.engine() == &engine();
        if (usual) return write_on_other_thread(aio, all);
    }
    submit_for(*this, aio, all ? &start_write_all : &start_write);
}

// With an Arrival, so that the engine lives.
void Socket::write_on_other_thread(Aio& aio, bool all) noexcept {
    const Starter posted = all ? &start_posted<true> : &start_posted<false>;
    SendRight& right = writes_.right();
    if (!Provider::accept_elsewhere(aio, this)) {
        right.enter(false);
        if (!Provider::submit(engine(), aio, posted, this)) right.withdraw();  // reports the misuse
        return;
    }
    const std::size_t bytes = bytes_to_send_here(aio);
    if (right.enter(bytes > 0)) return send_here(aio, all, bytes);
    Provider::post(aio, posted);
}

// The bytes of a write that this thread may send itself, or 0. A callback needs the engine's thread
// in any case, which then sends as well: its end comes sooner if that thread need not compete with
// the reader that the send woke.
std::size_t Socket::bytes_to_send_here(Aio& aio) noexcept {
    if (writes_.direct_bytes() == 0 || is_close_asked() || Provider::has_callback(aio)) return 0;
    if (Provider::stopped(aio) || !Provider::is_before_deadline(aio)) return 0;
    // Before a thread runs the engine, Descriptor::close_unbound() closes at once.
    if (!core().thread().is_bound()) return 0;
    const Admission admission = check_buffers(Provider::cursor(aio));
    const bool fits = admission.refused == Errc{} && admission.bytes <= writes_.direct_bytes();
    return fits ? admission.bytes : 0;
}

// With the right to send. The socket is open, or its close waits for the right.
void Socket::send_here(Aio& aio, bool all, std::size_t bytes) noexcept {
    const std::span<iovec> entries = Provider::cursor(aio).rest();
    msghdr message{};
    message.msg_iov = entries.data();
    message.msg_iovlen = entries.size();
    const std::int64_t result = core().kernel().send_message_at_once(fd(), message);
    std::error_code error;
    if (result > 0) {
        const auto sent = static_cast<std::size_t>(result);
        DCHECK(sent <= bytes);
        if (all && sent < bytes) {
            Provider::advance(aio, sent);
            return Provider::post(aio, &start_rest<true>);
        }
        Provider::add_count(aio, sent);
    } else if (may_be_repeated(result)) {
        return Provider::post(aio, all ? &start_rest<true> : &start_rest<false>);
    } else {
        error = error_from_result(result < 0 ? static_cast<int>(result) : -EIO);
    }
    core().counters().direct_writes.fetch_add(1, std::memory_order_relaxed);
    // Before the end of the operation, after which the user may destroy the stream.
    return_right();
    Provider::finish_elsewhere(aio, error);
}

void Socket::return_right() noexcept {
    if (writes_.right().leave()) return;
    post(right_returned_, [](MailboxEntry& entry) noexcept {
        Socket& socket = static_cast<Socket&>(static_cast<Mail&>(entry).object);
        socket.arrived();
        socket.writes().right().regain();
        socket.writes().on_right_returned();
        socket.continue_close();  // may free the socket
    });
}

}  // namespace uaio
