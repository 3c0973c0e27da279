#include "transport/http/message_source.h"

#include <uaio/argument_error.h>

#include "base/check.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/session.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

namespace uaio::http {
namespace {

MessageSource& source_of(Aio& aio) noexcept {
    return static_cast<Session*>(Provider::owner(aio))->source();
}

// Moves as many of `bytes`, those at the front of `buffer`, as fit to the buffers of `aio`.
std::size_t copy_to(Aio& aio, std::string_view bytes, ReceiveBuffer& buffer) noexcept {
    std::size_t copied = 0;
    for (const iovec& entry : Provider::cursor(aio).rest()) {
        const std::size_t part = std::min(entry.iov_len, bytes.size() - copied);
        if (part > 0) std::memcpy(entry.iov_base, bytes.data() + copied, part);
        copied += part;
    }
    Provider::advance(aio, copied);
    buffer.consume(copied);
    return copied;
}

bool has_room(Aio& aio) noexcept { return Provider::cursor(aio).remaining() > 0; }

}  // namespace

MessageSource::MessageSource(Session& session, Stream& stream) noexcept
    : session_(session),
      stream_(&stream),
      deadline_(
          session.core(),
          [](void* self, std::error_code reason) noexcept {
              auto& source = *static_cast<MessageSource*>(self);
              if (!source.awaits_head_) return;
              Session& owner = source.session_;
              Counters& counters = owner.core().counters();
              counters.cancels.add();
              if (reason == make_error_code(Errc::timed_out)) counters.timeouts.add();
              source.report(reason);
              source.serve();
              owner.destroy_if_idle();  // may free the source
          },
          this) {
    inner_.emplace(session.engine(), [this](Aio&) { on_read(); });
}

void MessageSource::reset() noexcept {
    DCHECK(!busy() && queue_.empty() && !awaits_head_ && !direct_);
    deadline_.clear();
    buffer_.clear();
    head_ = {};
    content_ = {};
    arrival_ = {};
    response_ = nullptr;
    asked_ = {};
    head_deadline_ns_ = 0;
    broken_ = content_read_ = false;
    keep_alive_ = true;
}

MessageSource::Note& MessageSource::note_of(Aio& aio) noexcept { return note_in<Note>(aio); }

// ---- the queue

void MessageSource::start(Aio& aio, Kind kind) noexcept {
    Session& session = *static_cast<Session*>(Provider::owner(aio));
    MessageSource& self = session.source();
    DCHECK(session.core().on_thread() && self.invariants_hold());
    const bool closed = session.closed() || self.broken_;
    const bool has_buffers = kind != Kind::request && kind != Kind::response;
    const Admission admission =
        has_buffers ? admit(aio, closed) : admit_without_buffers(aio, closed);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    void* const message = Provider::argument(aio);
    put_note(aio, Note{message, kind});
    self.queue_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    if (self.queue_.front() == &aio) self.serve();
}

// A read into the buffer goes on, and the next operation finds its bytes. Only a read into the
// caller's own buffers must be stopped first.
void MessageSource::on_cancel(Aio& aio) noexcept {
    MessageSource& self = source_of(aio);
    const bool first = self.queue_.front() == &aio;
    if (first && self.direct_) {
        return Provider::cancel(*self.inner_, Provider::cancel_reason(aio));
    }
    self.end(aio, Provider::cancel_reason(aio));
    if (first) self.serve();
}

bool MessageSource::plain() const noexcept {
    return queue_.empty() && buffer_.empty() && !reading_ && !content_.is_framed() && !broken_;
}

void MessageSource::serve() noexcept {
    while (Aio* const front = queue_.front()) {
        if (direct_ || awaits_head_) return;
        switch (step(*front)) {
            case Step::finished:
            case Step::handed_on: continue;
            case Step::more_bytes:
                if (!reading_ && !fill()) {
                    end(*front, Errc::not_enough_memory);
                    continue;
                }
                return;
            case Step::direct:
                if (!reading_) read_direct(*front);
                return;
        }
    }
}

MessageSource::Step MessageSource::step(Aio& front) noexcept {
    if (broken_) return end(front, Errc::closed);
    const Kind kind = note_of(front).kind;
    switch (kind) {
        case Kind::raw:
        case Kind::raw_all: return read_raw(front, kind == Kind::raw_all);
        case Kind::content:
        case Kind::content_all: return read_content(front, kind == Kind::content_all);
        default: {
            const Step read = parse_head(&front);
            if (read == Step::more_bytes && !mid_head()) session_.limit_idle(front);
            return read;
        }
    }
}

MessageSource::Step MessageSource::end(Aio& front, std::error_code error) noexcept {
    DCHECK(&source_of(front) == this && !(direct_ && queue_.front() == &front));
    queue_.remove(front);
    Provider::finish(front, error);
    return Step::finished;
}

// ---- heads

MessageSource::Step MessageSource::parse_head(Aio* front) noexcept {
    if (content_.is_tunnel()) return end_head(front, ArgumentErrc::wrong_message_state);
    if (!content_.is_over()) {
        const Step skipped = skip_content(front);
        if (skipped != Step::handed_on) return skipped;
    }
    if (buffer_.empty()) return Step::more_bytes;
    const auto take = [&](const auto& head) noexcept { take_head(front, head); };
    IncomingHead::Result read;
    const bool request = front ? note_of(*front).kind == Kind::request : response_ == nullptr;
    if (request) {
        read = head_.read_request(buffer_, session_.limits(), take);
    } else {
        arrival_.note(session_.core().counters().enters.value());
        std::optional<RequestMethod> asked;
        if (!asked_.empty()) asked = asked_.front();
        read = head_.read_response(buffer_, session_.limits(), session_.strictness(), asked, take);
    }
    switch (read.outcome) {
        case IncomingHead::Outcome::complete: break;
        case IncomingHead::Outcome::incomplete: return wait_for_head(front);
        case IncomingHead::Outcome::malformed: return fail(front, read.fault);
        case IncomingHead::Outcome::no_memory:
            wait_for_head(front);  // the head has begun, and its time runs
            return end_head(front, Errc::not_enough_memory);
    }
    return Step::finished;
}

// Skips unread content up to the next head. Step::handed_on: all is skipped.
MessageSource::Step MessageSource::skip_content(Aio* front) noexcept {
    const IncomingContent::Front skipped = content_.skip(buffer_);
    switch (skipped.outcome) {
        case IncomingContent::Front::Outcome::complete: return Step::handed_on;
        case IncomingContent::Front::Outcome::malformed: return fail(front, skipped.fault);
        default: return Step::more_bytes;
    }
}

inline void MessageSource::begin_content(Aio* front, ContentFraming framing, std::uint64_t length,
                                         std::error_code error) noexcept {
    session_.forget_trailer();
    head_deadline_ns_ = 0;
    content_read_ = false;
    if (!content_.begin(framing, length, session_.limits(), session_.strictness())) {
        broken_ = true;
        error = Errc::not_enough_memory;
    }
    end_head(front, error);
}

// The message is a copy of the head, whose bytes are dropped next.
void MessageSource::take_head(Aio* front, const RequestHead& head) noexcept {
    auto* request = front ? static_cast<Request*>(note_of(*front).message) : nullptr;
    if (!request) request = session_.message_for(head);
    std::error_code error;
    if (request) error = MessageReader::read(head, *request);
    if (!session_.took_request(head) || !request) error = Errc::not_enough_memory;
    keep_alive_ = head.keep_alive;
    begin_content(front, head.framing, head.content_length, error);
}

void MessageSource::take_head(Aio* front, const ResponseHead& head) noexcept {
    auto* const response = front ? static_cast<Response*>(note_of(*front).message) : response_;
    const auto error = MessageReader::read(head, *response);
    if (!asked_.empty()) asked_.pop();
    keep_alive_ = head.keep_alive && head.framing != ContentFraming::until_close;
    begin_content(front, head.framing, head.content_length, error);
}

// All reads that wait for a head share its deadline.
MessageSource::Step MessageSource::wait_for_head(Aio* front) noexcept {
    // An old client may send a line end after its content; it begins no head.
    const std::string_view bytes = buffer_.bytes();
    if (bytes.empty() || bytes == "\r" || bytes == "\r\n") return Step::more_bytes;
    const bool begins = head_deadline_ns_ == 0;
    if (begins) head_deadline_ns_ = session_.head_deadline_ns();
    if (!front) {
        if (begins) deadline_.move(head_deadline_ns_);
    } else if (!session_.is_server()) {
        Provider::limit_deadline(*front, head_deadline_ns_);
    } else if (begins) {
        Provider::replace_deadline(*front, head_deadline_ns_);
    }
    return Step::more_bytes;
}

// The message is malformed.
MessageSource::Step MessageSource::fail(Aio* front, HttpErrc fault) noexcept {
    broken_ = true;  // RFC 9112 2.2: the start of the next message is unknown
    keep_alive_ = false;
    return end_head(front, fault);
}

MessageSource::Step MessageSource::end_head(Aio* front, std::error_code error) noexcept {
    if (front) return end(*front, error);
    outcome_ = error;
    return Step::finished;
}

// ---- heads without an Aio

bool MessageSource::take_head_if_received(Response* response, std::error_code& error) noexcept {
    DCHECK(may_take_head() && !awaits_head_ && !direct_);
    response_ = response;
    if (session_.closed() || broken_) {
        error = Errc::closed;
        return true;
    }
    if (parse_head(nullptr) == Step::more_bytes) return false;
    error = outcome_;
    return true;
}

bool MessageSource::await_head(Response* response, std::int64_t idle_end_ns) noexcept {
    DCHECK(may_take_head() && !direct_);
    response_ = response;
    if (awaits_head_) return true;
    if (!reading_ && !fill()) return false;
    awaits_head_ = true;
    deadline_.move(mid_head() ? head_deadline_ns_ : idle_end_ns);
    return true;
}

void MessageSource::stop_awaiting() noexcept {
    awaits_head_ = false;
    deadline_.clear();
}

void MessageSource::report(std::error_code error) noexcept {
    stop_awaiting();
    reporting_ = true;
    session_.head_arrived(error);
    reporting_ = false;
}

bool MessageSource::take_content(char* to, std::size_t size) noexcept {
    DCHECK(queue_.empty() && content_.has_length() && content_.left() == size);
    const std::string_view bytes = buffer_.bytes();
    if (bytes.size() < size) return false;
    std::memcpy(to, bytes.data(), size);
    buffer_.consume(size);
    content_.taken(size);
    content_read_ = true;
    return true;
}

// ---- raw bytes and content

MessageSource::Step MessageSource::read_raw(Aio& front, bool all) noexcept {
    if (!has_room(front)) return end(front, {});
    content_.expose_framing();
    if (!buffer_.empty()) {
        head_.forget();
        content_.taken_raw(copy_to(front, buffer_.bytes(), buffer_));
        if (!all || !has_room(front)) return end(front, {});
    }
    if (reading_) return Step::more_bytes;
    if (content_.has_length()) return Step::direct;
    queue_.remove(front);
    Provider::forward(front, [&] { all ? stream_->read_all(front) : stream_->read(front); });
    return Step::handed_on;
}

MessageSource::Step MessageSource::read_content(Aio& front, bool all) noexcept {
    if (!has_room(front)) return end(front, {});
    if (content_.is_over()) return end(front, Errc::end_of_stream);
    session_.limit_content(front);
    if (!content_read_) {
        content_read_ = true;
        if (buffer_.empty()) session_.sink().send_100_continue();
    }
    for (;;) {
        const IncomingContent::Front found = content_.front(buffer_);
        switch (found.outcome) {
            case IncomingContent::Front::Outcome::content:
                content_.taken(copy_to(front, found.bytes, buffer_));
                if (!all || !has_room(front)) return end(front, {});
                break;
            case IncomingContent::Front::Outcome::empty: {
                const bool little = content_.direct_limit() < ReceiveBuffer::kSmall;
                return reading_ || little ? Step::more_bytes : Step::direct;
            }
            case IncomingContent::Front::Outcome::incomplete: return Step::more_bytes;
            case IncomingContent::Front::Outcome::complete:
                session_.took_trailer(content_.trailers());
                return end(front, Errc::end_of_stream);
            case IncomingContent::Front::Outcome::malformed: return fail(&front, found.fault);
        }
    }
}

// ---- reads of the stream

bool MessageSource::fill() noexcept {
    DCHECK(!reading_);
    const std::span<char> room = buffer_.room();
    if (room.empty()) return false;
    inner_->set_iov(room.data(), room.size());
    reading_ = true;
    stream_->read(*inner_);
    return true;
}

// Reads into as many of the caller's buffers as an Aio holds without allocation, up to the last
// byte that needs no parsing.
void MessageSource::read_direct(Aio& front) noexcept {
    std::array<iovec, kInlineIov> window;
    std::size_t entries = 0;
    std::uint64_t limit = content_.direct_limit();
    for (const iovec& entry : Provider::cursor(front).rest()) {
        if (entries == window.size() || limit == 0) break;
        if (entry.iov_len == 0) continue;
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(entry.iov_len, limit));
        window[entries++] = {entry.iov_base, length};
        limit -= length;
    }
    [[maybe_unused]] const std::error_code error =
        inner_->set_iov(std::span(window.data(), entries));
    DCHECK(!error && !reading_ && entries > 0);
    reading_ = direct_ = true;
    DCHECK(invariants_hold());
    const Kind kind = note_of(front).kind;
    const bool all = kind == Kind::raw_all || kind == Kind::content_all;
    all ? stream_->read_all(*inner_) : stream_->read(*inner_);
}

void MessageSource::on_read() noexcept {
    DCHECK(reading_ && invariants_hold());
    const std::error_code error = inner_->result();
    const std::size_t count = inner_->count();
    reading_ = false;
    if (direct_) {
        direct_ = false;
        on_direct(error, count);
    } else {
        buffer_.added(count);
        Aio* const front = queue_.front();
        if (awaits_head_) {
            if (error) {
                report(error_of_end(error, true));
            } else if (parse_head(nullptr) != Step::more_bytes) {
                report(outcome_);
            } else if (!fill()) {
                report(Errc::not_enough_memory);
            }
        } else if (error && front) {
            end_early(*front, error);
        }
    }
    serve();
    session_.destroy_if_idle();  // may free this
}

void MessageSource::on_direct(std::error_code error, std::size_t count) noexcept {
    Aio& front = *queue_.front();
    const Kind kind = note_of(front).kind;
    content_.received(count);
    DCHECK(count <= Provider::cursor(front).remaining());
    Provider::advance(front, count);
    const bool all = kind == Kind::raw_all || kind == Kind::content_all;
    if (!error && (!all || !has_room(front))) {
        end(front, {});
    } else if (error) {
        end_early(front, error);
    } else if (const std::error_code reason = Provider::cancel_reason(front)) {
        end(front, reason);  // another read would follow
    }
}

// The stream has ended or failed, or the read was cancelled.
void MessageSource::end_early(Aio& front, std::error_code error) noexcept {
    const Kind kind = note_of(front).kind;
    const bool raw = kind == Kind::raw || kind == Kind::raw_all;
    const bool head = kind == Kind::request || kind == Kind::response;
    end(front, raw ? error : error_of_end(error, head));
}

// The error of an operation that reads a head, or content.
std::error_code MessageSource::error_of_end(std::error_code error, bool head) noexcept {
    if (error != Errc::end_of_stream) return error;
    if (content_.is_framed() || (head && !buffer_.empty())) error = Errc::truncated;
    content_.end_of_stream();
    keep_alive_ = false;
    return error;
}

}  // namespace uaio::http
