#include "tests/support/pipe.h"

#include <algorithm>
#include <cstring>

namespace uaio {
namespace {

// Whether an operation transfers all of its buffers; stored in the Aio.
std::byte& all_of(Aio& aio) { return Provider::scratch(aio)[0]; }

iovec first_entry(Aio& aio) {
    for (const iovec& entry : Provider::cursor(aio).rest()) {
        if (entry.iov_len > 0) return entry;
    }
    return {};
}

bool satisfied(Aio& aio) {
    if (Provider::cursor(aio).remaining() == 0) return true;
    return all_of(aio) == std::byte{0} && aio.count() > 0;
}

}  // namespace

bool Pipe::refused(Aio& aio, bool closed) noexcept {
    std::error_code error;
    if (Provider::stopped(aio)) {
        error = Errc::canceled;
    } else if (closed) {
        error = Errc::closed;
    } else if (Provider::expired(aio)) {
        error = Errc::timed_out;
    }
    if (error) Provider::finish(aio, error);
    return static_cast<bool>(error);
}

void Pipe::start_read(Aio& aio) noexcept {
    Pipe& self = *static_cast<Pipe*>(Provider::owner(aio));
    if (refused(aio, self.reader_closed_)) return;
    all_of(aio) = std::byte{0};
    self.reads_.push(aio);
    Provider::park(aio, &on_cancel);
    self.move();
}

void Pipe::start_read_all(Aio& aio) noexcept {
    start_read(aio);
    all_of(aio) = std::byte{1};
}

void Pipe::start_write(Aio& aio) noexcept {
    Pipe& self = *static_cast<Pipe*>(Provider::owner(aio));
    if (refused(aio, self.write_ended_)) return;
    if (self.reader_closed_) return Provider::finish(aio, Errc::connection_reset);
    all_of(aio) = std::byte{0};
    self.writes_.push(aio);
    Provider::park(aio, &on_cancel);
    self.move();
}

void Pipe::start_write_all(Aio& aio) noexcept {
    Pipe& self = *static_cast<Pipe*>(Provider::owner(aio));
    if (refused(aio, self.write_ended_)) return;
    if (self.reader_closed_) return Provider::finish(aio, Errc::connection_reset);
    all_of(aio) = std::byte{1};
    self.writes_.push(aio);
    Provider::park(aio, &on_cancel);
    self.move();
}

void Pipe::on_cancel(Aio& aio) noexcept {
    Pipe& self = *static_cast<Pipe*>(Provider::owner(aio));
    for (AioQueue* const queue : {&self.writes_, &self.reads_}) {
        for (Aio* each = queue->front(); each; each = AioQueue::next(*each)) {
            if (each != &aio) continue;
            const bool cut = queue == &self.writes_ && aio.count() > 0;
            queue->remove(aio);
            Provider::finish(aio, Provider::cancel_reason(aio));
            if (cut) self.end_write();
            return;
        }
    }
}

void Pipe::move() {
    while (move_in() | move_out()) {
    }
}

bool Pipe::move_in() {
    Aio* const aio = writes_.front();
    if (!aio) return false;
    const iovec entry = first_entry(*aio);
    const std::size_t room = limit_ - std::min(limit_, taken_.size());
    const std::size_t bytes = std::min(entry.iov_len, room);
    if (bytes > 0) taken_.append(static_cast<const char*>(entry.iov_base), bytes);
    Provider::advance(*aio, bytes);
    if (!satisfied(*aio)) return bytes > 0;
    writes_.remove(*aio);
    Provider::finish(*aio);
    return true;
}

bool Pipe::move_out() {
    Aio* const aio = reads_.front();
    if (!aio) return false;
    std::size_t end = std::min(taken_.size(), cut_);
    if (given_ < split_) end = std::min(end, split_);
    const iovec entry = first_entry(*aio);
    const std::size_t bytes = std::min({entry.iov_len, end - given_, piece_});
    if (bytes > 0) std::memcpy(entry.iov_base, taken_.data() + given_, bytes);
    given_ += bytes;
    Provider::advance(*aio, bytes);
    const bool over = given_ == cut_ || (write_ended_ && given_ == taken_.size());
    if (!satisfied(*aio) && !(over && bytes == 0)) return bytes > 0;
    reads_.remove(*aio);
    std::error_code error;
    if (!satisfied(*aio))
        error = given_ == cut_ ? cut_error_ : make_error_code(Errc::end_of_stream);
    Provider::finish(*aio, error);
    return true;
}

void Pipe::end_write() {
    write_ended_ = true;
    while (Aio* const aio = writes_.pop())
        Provider::finish(*aio, Errc::closed);
    move();
}

void Pipe::close_reader() {
    reader_closed_ = true;
    while (Aio* const aio = reads_.pop())
        Provider::finish(*aio, Errc::closed);
    while (Aio* const aio = writes_.pop())
        Provider::finish(*aio, Errc::connection_reset);
}

void PipeStream::close() noexcept {
    out_.end_write();
    in_.close_reader();
}

}  // namespace uaio
