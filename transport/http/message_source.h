// The read side of an HTTP connection: a FIFO of operations that read a head, content, or raw
// bytes. Heads are parsed in a buffer; raw bytes and long content go directly into the caller's
// buffers once that buffer is empty. One read of the stream below runs at a time, with an Aio of
// this object; when an operation ends early, the bytes received stay in the buffer. Engine's thread
// only.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_message.h>
#include <uaio/provider.h>
#include <uaio/stream.h>

#include "base/check.h"
#include "engine/core.h"
#include "engine/moving_deadline.h"
#include "transport/http/backlog.h"
#include "transport/http/incoming_content.h"
#include "transport/http/incoming_head.h"
#include "transport/http/receive_buffer.h"
#include "transport/http/request_method.h"
#include "transport/http/response_arrival.h"

#include <cstdint>
#include <optional>

namespace uaio::http {

class Session;

class MessageSource {
public:
    // The part of a message that an operation reads: a head, raw bytes, or content of the message
    // that was read last, without its framing.
    enum class Kind : std::uint8_t { request, response, raw, raw_all, content, content_all };

    MessageSource(Session& session, Stream& stream) noexcept;
    // Reads another connection from now on. REQUIRES: is_between_messages(), or reset() was called.
    void attach(Stream* stream) noexcept { stream_ = stream; }
    // Forgets all of the connection. REQUIRES: !busy(), and no operation waits.
    void reset() noexcept;
    // Nothing of the last message is left, and another may follow.
    bool is_between_messages() const noexcept {
        return queue_.empty() && buffer_.empty() && content_.is_over() && !content_.is_tunnel() &&
               keep_alive_ && !broken_ && !awaits_head_ && !busy();
    }

    // A starter; the owner is the Session, the argument the message.
    template <Kind kKind>
    static void start(Aio& aio) noexcept {
        start(aio, kKind);
    }

    // ---- heads without an Aio for each: for a server or a client, which reads one at a time and
    // has set Session::set_reader()

    // Takes the next head if it has been received; `error` is then its outcome. A request goes to
    // Session::message_for(), a response to `response`. Otherwise returns false: call await_head(),
    // whose outcome goes to Session::head_arrived(), never inside this call or that one. REQUIRES:
    // may_take_head(), and no head is awaited.
    bool take_head_if_received(Response* response, std::error_code& error) noexcept;
    // False if out of memory. The time for the first byte of the head ends at `idle_end_ns`. While
    // a head is awaited already, only names another response for it.
    [[nodiscard]] bool await_head(Response* response,
                                  std::int64_t idle_end_ns = TimerNode::kNoDeadline) noexcept;
    // Ends that wait without an outcome; bytes of the head stay.
    void stop_awaiting() noexcept;
    // No operation waits here, which would be first.
    bool may_take_head() const noexcept { return queue_.empty(); }
    // Nothing but more bytes of the stream can complete the next head, and no read awaits them.
    bool lacks_bytes() const noexcept {
        return queue_.empty() && buffer_.empty() && !reading_ && !content_.is_tunnel() && !broken_;
    }
    // Moves content that was received whole, `size` bytes of a known length, to `to`. False if not
    // all of it was received.
    bool take_content(char* to, std::size_t size) noexcept;

    // True if raw reads may go to the stream directly.
    bool plain() const noexcept;
    // Records a written request: the framing of its response depends on the method. False if out of
    // memory.
    bool expect_response(RequestMethod asked) noexcept { return asked_.push(asked); }
    // Another message may follow the last one read.
    bool keeps_alive() const noexcept { return keep_alive_; }
    // Bytes that have been received, and that no operation has read.
    ReceiveBuffer& buffer() noexcept { return buffer_; }
    // Part of a head has been received.
    bool mid_head() const noexcept { return head_deadline_ns_ != 0; }
    // A read is waiting, and no byte for it has been received.
    bool waits_for_first_byte() const noexcept {
        return (awaits_head_ || !queue_.empty()) && reading_ && buffer_.empty();
    }
    // The content of the message that was read last.
    IncomingContent& content() noexcept { return content_; }
    ResponseArrival& arrival() noexcept { return arrival_; }
    bool busy() const noexcept { return reading_ || reporting_; }
    // Called before the engine is destroyed; no Aio may remain if the source is `idle`.
    void drop(bool idle) noexcept {
        deadline_.drop();
        if (!idle) return;
        DCHECK(!reading_ && queue_.empty());
        inner_.reset();
    }

private:
    struct Note {  // in the scratch space of a queued Aio
        void* message;
        Kind kind;
    };
    // The next step of the operation at the front of the queue.
    enum class Step { finished, more_bytes, handed_on, direct };

    static Note& note_of(Aio& aio) noexcept;
    static void start(Aio& aio, Kind kind) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    void serve() noexcept;
    Step step(Aio& front) noexcept;
    Step end(Aio& front, std::error_code error) noexcept;

    // `front` is null for a head that is read without an Aio.
    Step end_head(Aio* front, std::error_code error) noexcept;
    Step parse_head(Aio* front) noexcept;
    Step skip_content(Aio* front) noexcept;
    void take_head(Aio* front, const RequestHead& head) noexcept;
    void take_head(Aio* front, const ResponseHead& head) noexcept;
    void begin_content(Aio* front, ContentFraming framing, std::uint64_t length,
                       std::error_code error) noexcept;
    Step wait_for_head(Aio* front) noexcept;
    Step fail(Aio* front, HttpErrc fault) noexcept;
    void report(std::error_code error) noexcept;

    Step read_raw(Aio& front, bool all) noexcept;
    Step read_content(Aio& front, bool all) noexcept;

    bool fill() noexcept;
    void read_direct(Aio& front) noexcept;
    void on_read() noexcept;
    void on_direct(std::error_code error, std::size_t count) noexcept;
    void end_early(Aio& front, std::error_code error) noexcept;
    [[nodiscard]] std::error_code error_of_end(std::error_code error, bool head) noexcept;
    // A direct read is one of the front, and overtakes no byte of the buffer.
    bool invariants_hold() const noexcept {
        return !direct_ || (reading_ && !queue_.empty() && buffer_.empty());
    }

    Session& session_;
    Stream* stream_;
    std::optional<Aio> inner_;
    AioQueue queue_;
    ReceiveBuffer buffer_;
    IncomingHead head_;
    IncomingContent content_;
    ResponseArrival arrival_;
    MovingDeadline deadline_;            // of the head that is awaited
    Response* response_ = nullptr;       // for that head, if it is one of a response
    std::error_code outcome_;            // of the head that was read last without an Aio
    Backlog<RequestMethod> asked_;       // requests written whose responses have not been read
    std::int64_t head_deadline_ns_ = 0;  // of a partly received head; 0: none
    bool reading_ = false;               // the stream has inner_
    bool awaits_head_ = false;           // without an Aio
    bool reporting_ = false;             // Session::head_arrived() is on the stack
    bool direct_ = false;                // into the buffers of the front
    bool broken_ = false;                // a message was malformed, so no later one can be parsed
    bool keep_alive_ = true;             // of the last message
    bool content_read_ = false;          // a read of this message's content has begun
};

}  // namespace uaio::http
