#include "transport/socket/wait_list.h"

#include "base/check.h"
#include "transport/socket/socket.h"
#include "transport/stream/note.h"
#include "transport/stream/queues.h"

#include <poll.h>

#include <cerrno>

#include <liburing.h>

namespace uaio {
void WaitList::submit(Aio& aio) noexcept {
    put_note(aio, this);
    if (socket_.has_no_transfer(direction_)) return poll(aio);
    parked_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
}

void WaitList::close() noexcept {
    cancel_all(parked_, Errc::closed);
    cancel_all(polled_, Errc::closed);
}

void WaitList::on_cancel(Aio& aio) noexcept {
    WaitList& self = *note_in<WaitList*>(aio);
    self.parked_.remove(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
}

void WaitList::poll_parked() noexcept {
    while (Aio* const aio = parked_.pop())
        poll(*aio);
}

void WaitList::poll(Aio& aio) noexcept {
    DCHECK(!socket_.closed() && socket_.has_no_transfer(direction_));
    polled_.push(aio);
    prepare(aio);
}

void WaitList::prepare(Aio& aio) noexcept {
    io_uring_sqe& sqe = Provider::begin<&on_completion>(aio);
    io_uring_prep_poll_add(&sqe, socket_.fd(), direction_ == Direction::receive ? POLLIN : POLLOUT);
}

Outcome WaitList::on_completion(Aio& aio, int result, unsigned) noexcept {
    Socket& socket = *static_cast<Socket*>(Provider::owner(aio));
    const Outcome outcome = note_in<WaitList*>(aio)->on_polled(aio, result);
    socket.continue_close();  // may free the socket
    return outcome;
}

Outcome WaitList::on_polled(Aio& aio, int result) noexcept {
    const std::error_code reason = Provider::cancel_reason(aio);
    if (result == -EINTR && !reason) {
        prepare(aio);
        return Outcome::pending;
    }
    polled_.remove(aio);
    if (result >= 0 && !socket_.closed() && !socket_.has_no_transfer(direction_)) {
        // A transfer was queued meanwhile, and goes first.
        if (!reason) {
            parked_.push(aio);
            Provider::park_untracked(aio, &on_cancel);
            return Outcome::pending;
        }
        result = -ECANCELED;
    }
    if (result < 0) Provider::set_error(aio, reason ? reason : error_from_result(result));
    return Outcome::finished;
}

}  // namespace uaio
