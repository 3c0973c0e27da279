// The write side of an HTTP connection. A head leaves with the content that its message has, in one
// write of the stream below, made with the caller's own Aio. Content that comes in pieces is framed
// here, one piece at a time, and what is submitted meanwhile waits behind it. So does what follows
// a head that is written without its content: pieces that are dropped, and the ends of content that
// has none, would otherwise complete before the head is out. Engine's thread only.
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

// Whether the fields of the message announce content that is not attached, so that it has to follow
// in pieces.
bool is_streamed(const Message& message) noexcept;

class MessageSink {
public:
    MessageSink(Session& session, Stream& stream) noexcept;

    // Starters; the owner is the Session, the argument a message or a trailer.
    static void start_request(Aio& aio) noexcept;
    static void start_response(Aio& aio) noexcept;
    // As start_response, for a response that nothing is written behind: it never waits here.
    static void start_whole(Aio& aio) noexcept;
    // As start_response, but the Aio stays here until the head is out, whatever follows: has_head()
    // and has_pending() return what became of it.
    static void start_head(Aio& aio) noexcept;
    // Completes behind everything that was submitted before, also on a closed connection.
    static void start_flush(Aio& aio) noexcept;
    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void start_content(Aio& aio) noexcept;
    static void start_finish(Aio& aio) noexcept;

    // True if raw writes may go to the stream at once.
    bool plain() const noexcept { return queue_.empty(); }
    // A request was read that is to be answered. False without memory.
    bool push_pending(const RequestHead& head) noexcept;
    // The content of a request is wanted: says so to a client that waits for it.
    void send_100_continue() noexcept;
    // After the last response that was written, another message may follow.
    bool keeps_alive() const noexcept { return keep_alive_; }
    // Content of a message is still to be written.
    bool mid_message() const noexcept {
        return content_ != Body::none && !(content_ == Body::length && content_left_ == 0);
    }
    // Whoever wrote the content says that it was all. False if more was promised.
    bool end_content() noexcept {
        if (content_ == Body::until_close) content_ = Body::none;
        dropped_ = false;
        return !mid_message();
    }
    // Nothing is being written, and nothing waits.
    bool idle() const noexcept { return queue_.empty(); }
    // Before start_head(), which may be refused.
    void expect_head() noexcept {
        head_ = Head::unsent;
        head_size_ = 0;
        refused_ = false;
    }
    // The message of start_head() must not be sent as it is: nothing of it was.
    bool is_refused() const noexcept { return refused_; }
    // The head of start_head() is out.
    bool has_head() const noexcept { return head_ == Head::written; }
    // A part of it is, at least.
    bool has_begun() const noexcept { return head_size_ > 0; }
    bool is_writing_head() const noexcept { return head_ == Head::writing; }
    // Gives up a head that is being written. What becomes of it is known behind a flush.
    void cancel_head() noexcept;
    // A client waits for word whether to send its content, and got none.
    bool awaits_100_continue() const noexcept { return !owed_.empty() && owed_.front().expects; }
    // The request that is answered next has no response yet, and nothing of one was written; or
    // that answered last still has none, since its head was given up before a byte of it was out.
    bool has_pending() const noexcept { return !owed_.empty() || head_ == Head::unsent; }
    // Bytes of it, without what frames them, that were written in pieces so far.
    std::uint64_t content_written() const noexcept { return content_written_; }
    bool busy() const noexcept { return writing_ || inviting_; }
    // The engine is gone: no Aio may be left.
    void drop_aio() noexcept {
        inner_.reset();
        invitation_.reset();
    }

    // What a server says of the next responses: whether it wants to keep the connection.
    void set_keep_alive(bool wanted) noexcept { keep_alive_wanted_ = wanted; }
    // The Date of the next response; not kept.
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
    // What became of the head that was last written without its content.
    enum class Head : std::uint8_t {
        written,  // or there was none
        writing,  // inner_ writes it, for the front
        unsent,   // nothing of it was sent, and the connection is as it was
        broken,   // it failed otherwise
    };
    struct Note {  // in the scratch of a queued Aio
        void* message;
        std::size_t done;  // bytes of content that have been written
        Kind kind;
    };
    struct PendingResponse {
        RequestMethod asked = RequestMethod::other;
        Version version = Version::http_1_1;
        bool keep_alive = true;
        bool expects = false;  // a 100 before it sends content
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
    // These are false if the front is being written.
    bool write_request(Aio& aio, Request& request) noexcept;
    bool write_response(Aio& aio, Response& response) noexcept;
    bool write_message(Aio& aio, Message& message, const std::string& head,
                       const FollowingMessage& following, bool streamed) noexcept;
    bool write_content(Aio& front) noexcept;
    bool write_end(Aio& front) noexcept;
    // False without memory.
    bool write_inner(std::span<const iovec> entries) noexcept;
    void on_written() noexcept;
    void give_up_head() noexcept;
    void on_head_written(Aio& front) noexcept;
    void on_content_written(Aio& front) noexcept;
    void end(Aio& front, std::error_code error) noexcept;

    Session& session_;
    Stream& stream_;
    std::unique_ptr<Aio> inner_;       // writes content in pieces and their heads, once needed
    std::unique_ptr<Aio> invitation_;  // writes "100 Continue", once somebody expects it
    AioQueue queue_;                   // empty unless inner_ writes
    Backlog<PendingResponse> owed_;    // requests that were read and not answered yet
    PendingResponse last_;             // the one answered last
    std::string trailer_;
    std::array<char, kChunkHeadSize> chunk_head_;
    std::size_t framing_ = 0;  // bytes of the write of inner_ that are no content
    std::size_t piece_ = 0;    // and those that are
    std::uint64_t content_left_ = 0;
    std::uint64_t content_written_ = 0;
    std::size_t head_size_ = 0;  // bytes of the head that are out
    Body content_ = Body::none;  // of the message being written
    Head head_ = Head::written;
    bool refused_ = false;
    bool first_chunk_ = true;
    bool dropped_ = false;  // the message must not have the content that will be written
    bool writing_ = false;  // inner_ is with the stream
    bool inviting_ = false;
    bool keep_alive_ = true;
    bool keep_alive_wanted_ = true;
    std::string_view date_;
};

}  // namespace uaio::http
