#include "transport/http/message_source.h"

#include "base/check.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/session.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"

#include <algorithm>
#include <array>
#include <new>
#include <variant>
#include <vector>

namespace uaio::http {
namespace {

// A complete head with at most this many fields is parsed on the stack.
constexpr std::size_t kUsualFields = 100;

// Interim responses before a final one. One or two are usual: 100, and 103 for each group of links.
constexpr unsigned kMostInterim = 16;

}  // namespace

RequestMethod request_method(std::string_view method) noexcept {
    return method == "HEAD"      ? RequestMethod::head
           : method == "CONNECT" ? RequestMethod::connect
                                 : RequestMethod::other;
}

std::string_view method_of(RequestMethod asked) noexcept {
    switch (asked) {
        case RequestMethod::head: return "HEAD";
        case RequestMethod::connect: return "CONNECT";
        default: return "GET";
    }
}

struct MessageSource::Incomplete {
    Incomplete(const Limits& limits, Strictness strictness, bool is_request)
        : room(std::min<std::size_t>(limits.fields, 1 << 16)), request(is_request) {
        if (is_request) {
            parser.emplace<RequestParser>(room, limits);
        } else {
            parser.emplace<ResponseParser>(room, limits, best_scanner(), strictness);
        }
    }

    std::vector<FieldSlice> room;
    bool request;
    bool begun = false;
    std::variant<std::monostate, RequestParser, ResponseParser> parser;
};

MessageSource::MessageSource(Session& session, Stream& stream) noexcept
    : session_(session), stream_(stream) {
    inner_.emplace(session.engine(), [this](Aio&) { on_read(); });
}

MessageSource::~MessageSource() = default;

void MessageSource::forget_incomplete() noexcept { incomplete_.reset(); }

MessageSource::Note& MessageSource::note_of(Aio& aio) noexcept { return note_in<Note>(aio); }

MessageSource& MessageSource::of(Aio& aio) noexcept {
    return static_cast<Session*>(Provider::owner(aio))->source();
}

// ---- from the verbs

void MessageSource::start(Aio& aio, Kind kind, bool vector) noexcept {
    Session& session = *static_cast<Session*>(Provider::owner(aio));
    MessageSource& self = session.source();
    const bool closed = session.closed() || self.broken_;
    const Admission admission = vector ? admit(aio, closed) : admit_without_vector(aio, closed);
    if (admission.refused != Errc{}) return Provider::finish(aio, admission.refused);
    self.submit(aio, kind, Provider::argument(aio));
}

void MessageSource::start_request(Aio& aio) noexcept { start(aio, Kind::request, false); }
void MessageSource::start_response(Aio& aio) noexcept { start(aio, Kind::response, false); }
void MessageSource::start_read(Aio& aio) noexcept { start(aio, Kind::raw, true); }
void MessageSource::start_read_all(Aio& aio) noexcept { start(aio, Kind::raw_all, true); }
void MessageSource::start_content(Aio& aio) noexcept { start(aio, Kind::content, true); }
void MessageSource::start_content_all(Aio& aio) noexcept { start(aio, Kind::content_all, true); }

void MessageSource::submit(Aio& aio, Kind kind, void* message) noexcept {
    put_note(aio, Note{message, kind});
    queue_.push(aio);
    Provider::park_untracked(aio, &on_cancel);
    if (queue_.front() == &aio) serve();
}

void MessageSource::leave(Aio& aio) noexcept { queue_.remove(aio); }

// A read into the buffer goes on, and the next operation finds its bytes. Only a read into the
// caller's own buffers must be stopped first.
void MessageSource::on_cancel(Aio& aio) noexcept {
    MessageSource& self = of(aio);
    const bool first = self.queue_.front() == &aio;
    if (first && self.direct_) {
        return Provider::cancel(*self.inner_, Provider::cancel_reason(aio));
    }
    self.leave(aio);
    Provider::finish(aio, Provider::cancel_reason(aio));
    if (first) self.serve();
}

// ---- the queue

bool MessageSource::plain() const noexcept {
    const bool framed = content_ == Body::length || content_ == Body::chunked;
    return queue_.empty() && buffer_.empty() && !reading_ && !framed && !broken_;
}

void MessageSource::serve() noexcept {
    while (Aio* const front = queue_.front()) {
        if (direct_) return;
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
        default: return read_head(front);
    }
}

MessageSource::Step MessageSource::end(Aio& front, std::error_code error) noexcept {
    leave(front);
    Provider::finish(front, error);
    return Step::finished;
}

// ---- heads

MessageSource::Step MessageSource::read_head(Aio& front) noexcept {
    if (content_ != Body::none) {
        const Step skipped = skip_content(front);
        if (skipped != Step::handed_on) return skipped;
    }
    if (buffer_.empty()) return Step::more_bytes;
    const Limits& limits = session_.limits();
    const bool request = note_of(front).kind == Kind::request;
    if (!request) note_arrival();
    if (incomplete_ && incomplete_->request != request) incomplete_.reset();
    const Strictness strictness = session_.strictness();
    if (!incomplete_) {
        std::array<FieldSlice, kUsualFields> room;
        Step result;
        if (request) {
            RequestParser parser(room, limits);
            result = parse_head(front, parser);
        } else {
            ResponseParser parser(room, limits, best_scanner(), strictness);
            parser.reset(method_of(asked_.empty() ? RequestMethod::other : asked_.front()));
            result = parse_head(front, parser);
        }
        if (result != Step::more_bytes || buffer_.empty()) return result;
    }
    // The head is incomplete: the stored parser scans each byte once.
    if (!incomplete_) {
        try {
            incomplete_ = std::make_unique<Incomplete>(limits, strictness, request);
        } catch (const std::bad_alloc&) {
            return end(front, Errc::not_enough_memory);
        }
    }
    if (request) return parse_head(front, std::get<RequestParser>(incomplete_->parser));
    auto& parser = std::get<ResponseParser>(incomplete_->parser);
    if (!incomplete_->begun) {
        parser.reset(method_of(asked_.empty() ? RequestMethod::other : asked_.front()));
        incomplete_->begun = true;
    }
    return parse_head(front, parser);
}

// Records the arrival of the first byte of a response.
void MessageSource::note_arrival() noexcept {
    if (arrived_) return;
    arrived_ = true;
    early_ = !request_sent_;
    arrival_ = session_.core().counters().enters.value();
}

// RFC 9110 7.8: a server must not switch to a protocol that the request did not name. Allows the
// switch if the request was not written here and its Upgrade is unknown.
HttpErrc MessageSource::fault_of_interim(int status) noexcept {
    if (status >= 200) return interim_ = 0, kFine;
    if (status == 101) {
        const bool asked = asked_.empty() || asked_.front() == RequestMethod::upgrade;
        return asked ? kFine : HttpErrc::unexpected_switch;
    }
    return ++interim_ > kMostInterim ? HttpErrc::too_many_interim_responses : kFine;
}

template <class Parser>
MessageSource::Step MessageSource::parse_head(Aio& front, Parser& parser) noexcept {
    for (;;) {
        const Parsed parsed = parser.parse(buffer_.bytes());
        switch (parsed.progress) {
            case Progress::need_more: return wait_for_head(front);
            case Progress::malformed:
                // Limits may allow more fields than the stack holds.
                if (parsed.fault == HttpErrc::too_many_fields && !incomplete_ &&
                    session_.limits().fields > kUsualFields) {
                    return Step::more_bytes;
                }
                return fail_head(front, parsed.fault);
            case Progress::complete: break;
        }
        if constexpr (std::is_same_v<Parser, ResponseParser>) {
            const int status = parser.head().status;
            if (const HttpErrc fault = fault_of_interim(status); fault != kFine) {
                return fail_head(front, fault);
            }
            // The final response follows the interim ones (RFC 9110 15.2).
            if (status < 200 && status != 101) {
                buffer_.consume(parsed.consumed);
                parser.reset(method_of(asked_.empty() ? RequestMethod::other : asked_.front()));
                continue;
            }
        }
        head_deadline_ns_ = 0;
        content_read_ = false;
        // The message is a copy, so the bytes can be dropped; the parser is freed last.
        const Step result = take_head(front, parser.head());
        buffer_.consume(parsed.consumed);
        incomplete_.reset();
        return result;
    }
}

MessageSource::Step MessageSource::take_head(Aio& front, const RequestHead& head) noexcept {
    auto* request = static_cast<Request*>(note_of(front).message);
    if (!request) request = session_.message_for_head();
    std::error_code error = Errc::not_enough_memory;
    if (request) error = MessageReader::read(head, *request);
    if (!session_.took_request(head)) error = Errc::not_enough_memory;
    keep_alive_ = head.keep_alive;
    return begin_content(front, head.body, head.content_length, error);
}

MessageSource::Step MessageSource::take_head(Aio& front, const ResponseHead& head) noexcept {
    const auto error = MessageReader::read(head, *static_cast<Response*>(note_of(front).message));
    if (!asked_.empty()) asked_.pop();
    keep_alive_ = head.keep_alive && head.body != Body::until_close;
    return begin_content(front, head.body, head.content_length, error);
}

// All reads that wait for a head share its deadline.
MessageSource::Step MessageSource::wait_for_head(Aio& front) noexcept {
    // An old client may send a line end after its content; it begins no head.
    const std::string_view bytes = buffer_.bytes();
    if (bytes.empty() || bytes == "\r" || bytes == "\r\n") return Step::more_bytes;
    const bool begins = head_deadline_ns_ == 0;
    if (begins) head_deadline_ns_ = session_.head_deadline_ns();
    if (!session_.is_server()) {
        Provider::limit_deadline(front, head_deadline_ns_);
    } else if (begins) {
        Provider::replace_deadline(front, head_deadline_ns_);
    }
    return Step::more_bytes;
}

MessageSource::Step MessageSource::begin_content(Aio& front, Body body, std::uint64_t length,
                                                 std::error_code error) noexcept {
    session_.forget_trailer();
    content_ = body;
    content_left_ = body == Body::length ? length : 0;
    chunks_.reset();
    if (body == Body::chunked) {
        try {
            chunks_ = std::make_unique<Chunks>(session_.limits(), session_.strictness());
        } catch (const std::bad_alloc&) {
            broken_ = true;
            error = Errc::not_enough_memory;
        }
    }
    return end(front, error);
}

MessageSource::Step MessageSource::fail_head(Aio& front, HttpErrc fault) noexcept {
    broken_ = true;  // RFC 9112 2.2: the start of the next message is unknown
    keep_alive_ = false;
    return end(front, fault);
}

// ---- reads of the stream

bool MessageSource::fill() noexcept {
    room_ = buffer_.room();
    if (room_.empty()) return false;
    inner_->set_iov(room_.data(), room_.size());
    reading_ = true;
    stream_.read(*inner_);
    return true;
}

// Reads into as many of the caller's buffers as an Aio holds without allocation, up to the last
// byte that needs no parsing.
void MessageSource::read_direct(Aio& front) noexcept {
    std::array<iovec, kInlineIov> window;
    std::size_t entries = 0;
    std::uint64_t limit = direct_limit();
    for (const iovec& entry : Provider::cursor(front).rest()) {
        if (entries == window.size() || limit == 0) break;
        if (entry.iov_len == 0) continue;
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(entry.iov_len, limit));
        window[entries++] = {entry.iov_base, length};
        limit -= length;
    }
    static_cast<void>(inner_->set_iov(std::span(window.data(), entries)));
    reading_ = direct_ = true;
    const Kind kind = note_of(front).kind;
    const bool all = kind == Kind::raw_all || kind == Kind::content_all;
    all ? stream_.read_all(*inner_) : stream_.read(*inner_);
}

void MessageSource::on_read() noexcept {
    const std::error_code error = inner_->result();
    const std::size_t count = inner_->count();
    reading_ = false;
    if (direct_) {
        direct_ = false;
        on_direct(error, count);
    } else {
        buffer_.added(count);
        Aio* const front = queue_.front();
        if (error && front) end_early(*front, error);
    }
    serve();
    session_.destroy_if_idle();  // may free this
}

void MessageSource::on_direct(std::error_code error, std::size_t count) noexcept {
    Aio& front = *queue_.front();
    const Kind kind = note_of(front).kind;
    Provider::advance(front, count);
    if (content_ == Body::length && (content_left_ -= count) == 0) content_ = Body::none;
    if (content_ == Body::chunked) chunks_->decoder.skip(count);
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
    if (error == Errc::end_of_stream && !raw) {
        const bool inside = content_ == Body::length || content_ == Body::chunked;
        const bool head = kind == Kind::request || kind == Kind::response;
        if (inside || (head && !buffer_.empty())) error = Errc::truncated;
        if (content_ == Body::until_close) content_ = Body::none;
        keep_alive_ = false;
    }
    end(front, error);
}

}  // namespace uaio::http
