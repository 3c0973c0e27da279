// The write side of an HTTP connection. One write of the stream below, with the caller's own Aio,
// sends a head and the content attached to its message. Content that comes in pieces is framed
// here, one piece at a time, and later operations wait for it. Operations also wait for a head that
// is written without its content: dropped pieces, and the end of absent content, would otherwise
// complete before the head is sent. Engine's thread only.
#pragma once

#include <uaio/http_message.h>
#include <uaio/provider.h>
#include <uaio/stream.h>

#include "engine/core.h"
#include "transport/http/backlog.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/format/serialiser.h"
#include "transport/http/message_source.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace uaio::http {

class Session;

// True if the fields of the message announce content that is not attached and must follow in
// pieces.
bool is_streamed(const Message& message) noexcept;

class MessageSink {
public:
    MessageSink(Session& session, Stream& stream) noexcept;

    // Starters; the owner is the Session, the argument a message or a trailer.
    static void start_request(Aio& aio) noexcept;
    static void start_response(Aio& aio) noexcept;
    // As start_response, for a response without later pieces of content: it never waits here.
    static void start_whole(Aio& aio) noexcept;
    // As start_response, but the Aio stays here until the head is sent, even without later content:
    // has_head() and has_pending() return the outcome.
    static void start_head(Aio& aio) noexcept;
    // Completes after everything that was submitted before, also on a closed connection.
    static void start_flush(Aio& aio) noexcept;
    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void start_content(Aio& aio) noexcept;
    static void start_finish(Aio& aio) noexcept;

    // True if raw writes may go to the stream directly.
    bool plain() const noexcept { return queue_.empty(); }
    // Records a request that needs a response. False if out of memory.
    bool push_pending(const RequestHead& head) noexcept;
    // Called when a read of a request's content begins: sends 100 Continue to a client that expects
    // it.
    void send_100_continue() noexcept;
    // Another message may follow the last one written.
    bool keeps_alive() const noexcept { return keep_alive_; }
    // Content of a message is still to be written.
    bool mid_message() const noexcept {
        return content_ != Body::none && !(content_ == Body::length && content_left_ == 0);
    }
    // Declares the content complete. False if more was announced.
    bool end_content() noexcept {
        if (content_ == Body::until_close) content_ = Body::none;
        dropped_ = false;
        return !mid_message();
    }
    // No write is in progress or waiting.
    bool idle() const noexcept { return queue_.empty(); }
    // Called before start_head(), which may be refused.
    void expect_head() noexcept {
        head_ = Head::unsent;
        head_size_ = 0;
        refused_ = false;
    }
    // start_head() refused its message as invalid, and sent nothing.
    bool is_refused() const noexcept { return refused_; }
    // The head of start_head() has been sent.
    bool has_head() const noexcept { return head_ == Head::written; }
    // At least a part of it has been sent.
    bool has_begun() const noexcept { return head_size_ > 0; }
    bool is_writing_head() const noexcept { return head_ == Head::writing; }
    // Cancels the write of a head. A later flush completes when its outcome is known.
    void cancel_head() noexcept;
    // The client expects 100 Continue and none was sent.
    bool awaits_100_continue() const noexcept { return !owed_.empty() && owed_.front().expects; }
    // The next request to answer has no response yet, and no byte of one was sent; or the last one
    // still has none, since its head was cancelled before a byte was sent.
    bool has_pending() const noexcept { return !owed_.empty() || head_ == Head::unsent; }
    // Bytes of content written in pieces so far, without their framing.
    std::uint64_t content_written() const noexcept { return content_written_; }
    bool busy() const noexcept { return writing_ || inviting_; }
    // Called when the engine is destroyed: no Aio may remain.
    void drop_aio() noexcept {
        inner_.reset();
        invitation_.reset();
    }

    // Whether the server wants to keep the connection open after the next responses.
    void set_keep_alive(bool wanted) noexcept { keep_alive_wanted_ = wanted; }
    // The Date of the next response only.
    void set_date(std::string_view date) noexcept { date_ = date; }

private:
    enum class Kind : std::uint8_t {
        request,
        response,
        whole,
        head,
        raw,
        raw_all,
        content,
        finish,
        flush
    };
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
    struct PendingResponse {
        RequestMethod asked = RequestMethod::other;
        Version version = Version::http_1_1;
        bool keep_alive = true;
        bool expects = false;  // 100 Continue before it sends content
        bool upgrade = false;
    };

    static Note& note_of(Aio& aio) noexcept;
    static MessageSink& of(Aio& aio) noexcept;
    static void start(Aio& aio, Kind kind) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    void limit_time(Aio& aio, std::size_t bytes) noexcept;
    void serve() noexcept;
    void forward(Aio& aio, bool all) noexcept;
    bool step(Aio& front) noexcept;
    // These return false while the front is being written.
    bool write_request(Aio& aio, Request& request) noexcept;
    bool write_response(Aio& aio, Response& response) noexcept;
    bool write_message(Aio& aio, Message& message, const std::string& head,
                       const FollowingMessage& following, bool streamed) noexcept;
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
    Stream& stream_;
    std::unique_ptr<Aio> inner_;  // writes content in pieces and their heads; created on first use
    std::unique_ptr<Aio> invitation_;  // writes "100 Continue"; created on first use
    AioQueue queue_;                   // empty unless inner_ writes
    Backlog<PendingResponse> owed_;    // requests read and not answered yet
    PendingResponse last_;             // the last request answered
    std::string trailer_;
    std::array<char, kChunkHeadSize> chunk_head_;
    std::size_t framing_ = 0;  // framing bytes in the write of inner_
    std::size_t piece_ = 0;    // content bytes in it
    std::uint64_t content_left_ = 0;
    std::uint64_t content_written_ = 0;
    std::size_t head_size_ = 0;  // bytes of the head that were sent
    Body content_ = Body::none;  // of the message being written
    Head head_ = Head::written;
    bool refused_ = false;
    bool first_chunk_ = true;
    bool dropped_ = false;  // the message must not have content: pieces are dropped
    bool writing_ = false;  // the stream has inner_
    bool inviting_ = false;
    bool keep_alive_ = true;
    bool keep_alive_wanted_ = true;
    std::string_view date_;
};

}  // namespace uaio::http
