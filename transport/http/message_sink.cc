#include "transport/http/message_sink.h"

#include <uaio/argument_error.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"
#include "transport/http/session.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"

#include <algorithm>
#include <new>
#include <utility>

namespace uaio::http {
namespace {

iovec entry_of(std::string_view bytes) noexcept {
    return {const_cast<char*>(bytes.data()), bytes.size()};
}

// True for a "Content-Length: 0" set by the caller: no content follows, but finish() may be called.
bool announces_none(const Message& message) noexcept {
    return !message.has_content() && message.headers().get("Content-Length") == "0";
}

}  // namespace

bool is_streamed(const Message& message) noexcept {
    if (message.has_content()) return false;
    constexpr std::string_view kCodings = "transfer-encoding";
    constexpr std::string_view kLength = "content-length";
    for (const auto [name, value] : message.headers()) {
        if (name.size() == kCodings.size() && same_name(name, kCodings)) return true;
        if (name.size() == kLength.size() && same_name(name, kLength) && value != "0") return true;
    }
    return false;
}

MessageSink::MessageSink(Session& session, Stream& stream) noexcept
    : session_(session), stream_(&stream) {}

MessageSink::Note& MessageSink::note_of(Aio& aio) noexcept { return note_in<Note>(aio); }

MessageSink& MessageSink::of(Aio& aio) noexcept {
    return static_cast<Session*>(Provider::owner(aio))->sink();
}

void MessageSink::reset() noexcept {
    DCHECK(!busy() && idle());
    pending_ = {};
    prepared_ = {};
    content_ = {};
    head_size_ = 0;
    head_ = Head::written;
    refused_ = false;
    keep_alive_ = keep_alive_wanted_ = true;
    date_ = {};
    ready_ = {};
}

void MessageSink::drop_aio() noexcept {
    DCHECK(!writing_ && queue_.empty());
    inner_.reset();
    continue_.drop_aio();
}

// ---- the queue

void MessageSink::start(Aio& aio, Kind kind) noexcept {
    Session& session = *static_cast<Session*>(Provider::owner(aio));
    MessageSink& self = session.sink();
    DCHECK(session.core().on_thread());
    const bool raw = kind == Kind::raw || kind == Kind::raw_all;
    Admission admission;
    if (raw || kind == Kind::content) {
        admission = admit(aio, session.closed());
    } else if (kind != Kind::flush) {
        admission = admit_without_buffers(aio, session.closed());
    }
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    void* const message = Provider::argument(aio);
    put_note(aio, Note{message, 0, kind});
    self.queue_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    const bool limited = !raw && kind != Kind::flush && kind != Kind::whole;
    if (limited) self.limit_time(aio, admission.bytes);
    if (self.queue_.front() == &aio) self.serve();
}

// `bytes` is the size of the caller's buffers; a message has its own size.
void MessageSink::limit_time(Aio& aio, std::size_t bytes) noexcept {
    if (session_.send_timeout() == kNoTimeout) return;
    const Note& note = note_of(aio);
    const Message* message = nullptr;
    switch (note.kind) {
        case Kind::request: message = static_cast<const Request*>(note.message); break;
        case Kind::response:
        case Kind::head: message = static_cast<const Response*>(note.message); break;
        default: break;
    }
    if (message) bytes = message->content().size() + message->headers().text().size();
    session_.limit_sending(aio, bytes);
}

void MessageSink::on_cancel(Aio& aio) noexcept {
    MessageSink& self = of(aio);
    // The front is being written: the result of the stream ends it.
    if (self.queue_.front() == &aio && self.writing_) {
        return Provider::cancel(*self.inner_, Provider::cancel_reason(aio));
    }
    self.end(aio, Provider::cancel_reason(aio));
}

void MessageSink::serve() noexcept {
    while (Aio* const front = queue_.front()) {
        if (writing_ || !step(*front)) return;
    }
}

// False while the front is being written.
bool MessageSink::step(Aio& front) noexcept {
    const Note note = note_of(front);
    switch (note.kind) {
        case Kind::content: return write_content(front);
        case Kind::finish: return write_end(front);
        case Kind::raw: forward(front, false); return true;
        case Kind::raw_all: forward(front, true); return true;
        case Kind::request: return write_request(front, *static_cast<Request*>(note.message));
        case Kind::response:
        case Kind::whole:
        case Kind::head: return write_response(front, *static_cast<Response*>(note.message));
        case Kind::flush: return end(front, {}), true;
    }
    return true;
}

void MessageSink::forward(Aio& aio, bool all) noexcept {
    DCHECK(queue_.front() == &aio && !writing_);
    queue_.remove(aio);
    Provider::forward(aio, [&] { all ? stream_->write_all(aio) : stream_->write(aio); });
}

void MessageSink::end(Aio& front, std::error_code error) noexcept {
    DCHECK(&of(front) == this && !(writing_ && queue_.front() == &front));
    queue_.remove(front);
    Provider::finish(front, error);
}

// ---- messages

bool MessageSink::write_request(Aio& aio, Request& request) noexcept {
    if (content_.is_open()) return end(aio, ArgumentErrc::wrong_message_state), true;
    FollowingMessage following;
    std::string& head = request.head_;
    if (prepared_.is_for(request)) {
        try {
            head.assign(prepared_.text());
        } catch (const std::bad_alloc&) {
            return end(aio, Errc::not_enough_memory), true;
        }
        following.keep_alive = prepared_.keeps_alive();
        return write_request(aio, request, following, prepared_.asked(), false,
                             prepared_.announces_none());
    }
    const bool streamed = is_streamed(request);
    const Payload payload = streamed ? Payload::streamed : Payload::attached;
    if (const auto error = write_head(request, payload, head, following))
        return end(aio, error), true;
    RequestMethod asked = request_method(request.method());
    if (asked == RequestMethod::other && request.headers().contains("Upgrade"))
        asked = RequestMethod::upgrade;
    const bool empty = announces_none(request);
    if (!streamed) prepared_.keep(request, head, following, asked, empty);
    return write_request(aio, request, following, asked, streamed, empty);
}

bool MessageSink::write_request(Aio& aio, Request& request, const FollowingMessage& following,
                                RequestMethod asked, bool streamed, bool empty) noexcept {
    if (!session_.source().expect_response(asked)) return end(aio, Errc::not_enough_memory), true;
    keep_alive_ = keep_alive_ && following.keep_alive;
    return write_message(aio, request, request.head_, following, streamed, empty);
}

bool MessageSink::write_response(Aio& aio, Response& response) noexcept {
    if (content_.is_open()) return end(aio, ArgumentErrc::wrong_message_state), true;
    const bool prepared = !ready_.head.empty() && note_of(aio).kind == Kind::whole;
    if (prepared) return write_prepared(aio, response.head_), true;
    const PendingResponses::Request asked = pending_.next();
    const ResponseContext answered{.method = method_of(asked.method),
                                   .version = asked.version,
                                   .keep_alive = asked.keep_alive && keep_alive_wanted_,
                                   .date = std::exchange(date_, {})};
    const bool streamed = is_streamed(response);
    FollowingMessage following;
    std::string& head = response.head_;
    const Payload payload = streamed ? Payload::streamed : Payload::attached;
    if (const auto error = write_head(response, answered, payload, head, following)) {
        refused_ = error == ArgumentErrc::invalid_message;
        return end(aio, error), true;
    }
    if (response.status() >= 200 || response.status() == 101) {
        pending_.answer();
        keep_alive_ = following.keep_alive;
        if (asked.method == RequestMethod::connect || asked.upgrade) {
            session_.source().content().decide_tunnel(following.framing == ContentFraming::tunnel);
        }
    }
    // Drops content written after the head of a response that must not have any.
    const int status = response.status();
    const bool contentless = status == 204 || status == 205 || status == 304;
    return write_message(aio, response, head, following,
                         streamed || (contentless && !response.has_content()),
                         announces_none(response));
}

void MessageSink::write_prepared(Aio& aio, std::string& head) noexcept {
    const PreparedResponse ready = std::exchange(ready_, {});
    const std::string_view date = std::exchange(date_, {});
    std::error_code error;
    if (!ready.is_whole) error = complete_head(ready.head, date, head);
    const iovec entries[] = {entry_of(ready.is_whole ? ready.head : head), entry_of(ready.content)};
    const std::size_t count = ready.content.empty() ? 1 : 2;
    if (!error) error = Provider::replace_iov(aio, std::span(entries, count));
    if (error) return end(aio, error);
    begin_prepared();
    forward(aio, true);
}

void MessageSink::begin_prepared() noexcept {
    pending_.answer();
    keep_alive_ = true;
    content_.begin_none();
    head_ = Head::written;
}

bool MessageSink::write_whole(Aio& aio, std::string_view response) noexcept {
    DCHECK(session_.core().on_thread() && !aio.busy() && pending_.next().is_usual());
    if (!queue_.empty() || content_.is_open() || session_.closed()) return false;
    aio.set_iov(response.data(), response.size());
    begin_prepared();
    stream_->write_all(aio);
    return true;
}

bool MessageSink::write_message(Aio& aio, Message& message, const std::string& head,
                                const FollowingMessage& following, bool streamed,
                                bool empty) noexcept {
    const bool has_content =
        following.framing != ContentFraming::none && following.framing != ContentFraming::tunnel;
    const std::string_view content =
        !streamed && has_content ? message.content() : std::string_view();
    const iovec entries[] = {entry_of(head), entry_of(content)};
    const std::size_t count = content.empty() ? 1 : 2;
    if (const auto error = Provider::replace_iov(aio, std::span(entries, count))) {
        return end(aio, error), true;
    }
    content_.begin(following, streamed, empty);
    head_ = Head::written;
    const Kind kind = note_of(aio).kind;
    const bool stays = kind == Kind::head || (streamed && kind != Kind::whole);
    if (!stays) return forward(aio, true), true;
    head_ = Head::writing;
    head_size_ = 0;
    if (write_inner(std::span(entries, count))) return false;
    give_up_head();
    return end(aio, Errc::not_enough_memory), true;
}

void MessageSink::expect_head() noexcept {
    DCHECK(head_ != Head::writing && !content_.is_open());
    head_ = Head::unsent;
    head_size_ = 0;
    refused_ = false;
}

void MessageSink::cancel_head() noexcept {
    DCHECK(is_writing_head());
    Provider::cancel(*queue_.front(), Errc::closed);
}

// Nothing of the head was sent, so no content follows.
void MessageSink::give_up_head() noexcept {
    DCHECK(head_ == Head::writing && head_size_ == 0 && content_.written() == 0);
    head_ = Head::unsent;
    content_.abandon();
}

// ---- content in pieces

bool MessageSink::write_content(Aio& front) noexcept {
    if (head_ == Head::broken) return end(front, Errc::closed), true;
    const std::size_t left = Provider::cursor(front).remaining();
    if (left == 0) return end(front, {}), true;
    if (content_.is_dropped()) {
        Provider::advance(front, left);
        return end(front, {}), true;
    }
    const bool excessive = note_of(front).done == 0 && content_.exceeds(left);
    if (!content_.is_open() || excessive)
        return end(front, ArgumentErrc::wrong_message_state), true;
    OutgoingContent::Entries room;
    if (write_inner(content_.frame(Provider::cursor(front).rest(), room))) return false;
    return end(front, Errc::not_enough_memory), true;
}

bool MessageSink::write_end(Aio& front) noexcept {
    if (head_ == Head::broken) return end(front, Errc::closed), true;
    std::string_view last;
    const auto* const trailer = static_cast<const Headers*>(note_of(front).message);
    const std::error_code error = content_.frame_end(trailer, last);
    if (error || last.empty()) return end(front, error), true;
    const iovec entry = entry_of(last);
    if (write_inner(std::span(&entry, 1))) return false;
    return end(front, Errc::not_enough_memory), true;
}

bool MessageSink::write_inner(std::span<const iovec> entries) noexcept {
    DCHECK(!writing_ && !queue_.empty() && !entries.empty());
    if (!inner_) {
        inner_.reset(new (std::nothrow) Aio(session_.engine(), [this](Aio&) { on_written(); }));
        if (!inner_) return false;
    }
    if (inner_->set_iov(entries)) return false;  // with a small inline_iov it allocates
    writing_ = true;
    stream_->write_all(*inner_);
    return true;
}

void MessageSink::on_written() noexcept {
    DCHECK(writing_ && !queue_.empty());
    writing_ = false;
    Aio& front = *queue_.front();
    head_ == Head::writing ? on_head_written(front) : on_content_written(front);
    serve();
    session_.destroy_if_idle();  // may free this
}

void MessageSink::on_head_written(Aio& front) noexcept {
    const std::error_code error = inner_->result();
    head_size_ = inner_->count();
    Provider::advance(front, head_size_);
    const std::error_code given_up = Provider::cancel_reason(front);
    if (!error) {
        head_ = Head::written;
    } else if (head_size_ == 0 && given_up && given_up != Errc::timed_out) {
        give_up_head();
    } else {
        head_ = Head::broken;
    }
    end(front, error);
}

void MessageSink::on_content_written(Aio& front) noexcept {
    const std::error_code error = inner_->result();
    const std::size_t written = inner_->count();
    const std::size_t content = content_.sent(written);
    DCHECK(content <= Provider::cursor(front).remaining());
    Note& note = note_of(front);
    Provider::advance(front, content);
    note.done += content;
    if (error) {
        // Earlier pieces were sent completely, and to the stream they are separate operations.
        // After a reset, received bytes can still be read.
        const bool reset = error == Errc::connection_reset;
        if (note.done > 0 && written == 0 && !reset) stream_->close();
        end(front, error);
    } else if (note.kind == Kind::finish) {
        content_.complete();
        end(front, {});
    } else if (Provider::cursor(front).remaining() == 0) {
        end(front, {});
    } else if (const std::error_code reason = Provider::cancel_reason(front)) {
        stream_->close();
        end(front, reason);
    }
}

void MessageSink::send_100_continue() noexcept {
    if (continue_.busy() || content_.is_open() || !pending_.take_expectation()) return;
    continue_.send(session_, *stream_);
}

}  // namespace uaio::http
