// The write side of an HTTP connection. One write of the stream below, with the caller's own Aio,
// sends a head and the content attached to its message. Content that comes in pieces is framed
// here, one piece at a time, and later operations wait for it. Operations also wait for a head that
// is written without its content: dropped pieces, and the end of absent content, would otherwise
// complete before the head is sent. Engine's thread only.
#pragma once

#include <uaio/http_message.h>
#include <uaio/provider.h>
#include <uaio/stream.h>

#include "base/check.h"
#include "engine/core.h"
#include "transport/http/continue_sender.h"
#include "transport/http/outgoing_content.h"
#include "transport/http/pending_responses.h"
#include "transport/http/prepared_request.h"

#include <cstdint>
#include <memory>
#include <string>

namespace uaio::http {

class Session;

// True if the fields of the message announce content that is not attached and must follow in
// pieces.
bool is_streamed(const Message& message) noexcept;

// A final response, serialised beforehand without Date, or whole.
struct PreparedResponse {
    std::string_view head = {};  // without the empty line
    std::string_view content = {};
    bool is_whole = false;  // the head ends with Date, the empty line and the content
};

class MessageSink {
public:
    // The part of a message that an operation writes.
    enum class Kind : std::uint8_t {
        request,
        response,
        whole,  // a response without later pieces of content: it never waits here, and the server
                // limits its time
        head,   // a response whose Aio stays here until the head is sent, even without later
                // content: has_head() and has_pending() return the outcome
        raw,
        raw_all,
        content,
        finish,
        flush,  // nothing: completes after everything before it, also on a closed connection
    };

    MessageSink(Session& session, Stream& stream) noexcept;
    // Writes another connection from now on. REQUIRES: is_between_messages(), or reset() was
    // called.
    void attach(Stream* stream) noexcept {
        stream_ = stream;
        pending_.forget_last();
    }
    // Forgets all of the connection. REQUIRES: !busy() and idle().
    void reset() noexcept;
    // Nothing of the last message is left, and another may follow.
    bool is_between_messages() const noexcept {
        return idle() && !busy() && pending_.empty() && head_ == Head::written && keeps_alive();
    }

    // A starter; the owner is the Session, the argument a message or a trailer.
    template <Kind kKind>
    static void start(Aio& aio) noexcept {
        start(aio, kKind);
    }

    // No write is in progress or waiting: raw writes may go to the stream directly.
    bool idle() const noexcept { return queue_.empty(); }
    PendingResponses& pending() noexcept { return pending_; }
    // The content of the message that was written last.
    OutgoingContent& content() noexcept { return content_; }
    // Called when a read of a request's content begins: sends 100 Continue to a client that expects
    // it.
    void send_100_continue() noexcept;
    // Another message may follow the last one written.
    bool keeps_alive() const noexcept { return keep_alive_ && !content_.is_open(); }
    // Called before a start of Kind::head, which may be refused.
    void expect_head() noexcept;
    // That start refused its message as invalid, and sent nothing.
    bool is_refused() const noexcept { return refused_; }
    // The head has been sent.
    bool has_head() const noexcept { return head_ == Head::written; }
    // At least a part of it has been sent.
    bool has_begun() const noexcept { return head_size_ > 0; }
    bool is_writing_head() const noexcept { return head_ == Head::writing; }
    // Cancels the write of a head. A later flush completes when its outcome is known.
    void cancel_head() noexcept;
    // The next request to answer has no response yet, and no byte of one was sent; or the last one
    // still has none, since its head was cancelled before a byte was sent.
    bool has_pending() const noexcept { return !pending_.empty() || head_ == Head::unsent; }
    bool busy() const noexcept { return writing_ || continue_.busy(); }
    // Called when the engine is destroyed: no Aio may remain.
    void drop_aio() noexcept;

    // Called by a server before a response: whether it wants to keep the connection open after it,
    // the Date, and what replaces the message, unless that is empty. REQUIRES of a prepared
    // response: a usual request, and an open connection.
    void prepare(bool keep_alive, std::string_view date, const PreparedResponse& ready) noexcept {
        DCHECK(ready.head.empty() || (keep_alive && pending_.next().is_usual()));
        keep_alive_wanted_ = keep_alive;
        date_ = date;
        ready_ = ready;
    }

    // Writes a whole response, as prepare() has it, by an idle Aio that the stream below gets at
    // once. False if it has to wait, or to be refused: use prepare() and Kind::whole.
    [[nodiscard]] bool write_whole(Aio& aio, std::string_view response) noexcept;

private:
    // State of the last head that was written without its content.
    enum class Head : std::uint8_t {
        written,  // or there was no such head
        writing,  // inner_ writes it, for the front
        unsent,   // nothing of it was sent; the connection is unchanged
        broken,   // it failed otherwise
    };
    struct Note {  // in the scratch space of a queued Aio
        void* message;
        std::size_t done;  // bytes of content that have been written
        Kind kind;
    };

    static Note& note_of(Aio& aio) noexcept;
    static MessageSink& of(Aio& aio) noexcept;
    static void start(Aio& aio, Kind kind) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    void limit_time(Aio& aio, std::size_t bytes) noexcept;
    void serve() noexcept;
    void forward(Aio& aio, bool all) noexcept;
    bool step(Aio& front) noexcept;
    // These return false while the front is being written. `empty`: the message announces that it
    // has no content.
    bool write_request(Aio& aio, Request& request) noexcept;
    bool write_request(Aio& aio, Request& request, const FollowingMessage& following,
                       RequestMethod asked, bool streamed, bool empty) noexcept;
    bool write_response(Aio& aio, Response& response) noexcept;
    void write_prepared(Aio& aio, std::string& head) noexcept;
    void begin_prepared() noexcept;
    bool write_message(Aio& aio, Message& message, const std::string& head,
                       const FollowingMessage& following, bool streamed, bool empty) noexcept;
    bool write_content(Aio& front) noexcept;
    bool write_end(Aio& front) noexcept;
    // False if out of memory.
    bool write_inner(std::span<const iovec> entries) noexcept;
    void on_written() noexcept;
    void give_up_head() noexcept;
    void on_head_written(Aio& front) noexcept;
    void on_content_written(Aio& front) noexcept;
    void end(Aio& front, std::error_code error) noexcept;

    Session& session_;
    Stream* stream_;
    std::unique_ptr<Aio> inner_;  // writes content in pieces and their heads; created on first use
    AioQueue queue_;              // empty unless inner_ writes
    PendingResponses pending_;
    PreparedRequest prepared_;
    OutgoingContent content_;
    ContinueSender continue_;
    std::size_t head_size_ = 0;  // bytes of the head that were sent
    Head head_ = Head::written;
    bool refused_ = false;
    bool writing_ = false;  // the stream has inner_
    bool keep_alive_ = true;
    bool keep_alive_wanted_ = true;
    std::string_view date_;   // of the next response
    PreparedResponse ready_;  // the next response, if it has a head
};

}  // namespace uaio::http
