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

#include "engine/core.h"
#include "transport/http/backlog.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/receive_buffer.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace uaio::http {

class Session;

// The properties of a request that determine the framing of its response.
enum class RequestMethod : std::uint8_t { other, head, connect, upgrade };
RequestMethod request_method(std::string_view method) noexcept;
std::string_view method_of(RequestMethod asked) noexcept;

class MessageSource {
public:
    MessageSource(Session& session, Stream& stream) noexcept;
    ~MessageSource();

    // Starters; the owner is the Session, the argument the message.
    static void start_request(Aio& aio) noexcept;
    static void start_response(Aio& aio) noexcept;
    static void start_read(Aio& aio) noexcept;
    static void start_read_all(Aio& aio) noexcept;
    // Content of the message that was read last, without its framing.
    static void start_content(Aio& aio) noexcept;
    static void start_content_all(Aio& aio) noexcept;

    // True if raw reads may go to the stream directly.
    bool plain() const noexcept;
    // Records a written request: the framing of its response depends on the method. False if out of
    // memory.
    bool expect_response(RequestMethod asked) noexcept { return asked_.push(asked); }
    // Whether the last message has turned the connection into a tunnel.
    void decide_tunnel(bool accepted) noexcept;
    bool keeps_alive() const noexcept { return keep_alive_; }
    // Bytes have been received that no operation has read.
    bool has_bytes() const noexcept { return !buffer_.empty(); }
    // Part of a head has been received.
    bool mid_head() const noexcept { return head_deadline_ns_ != 0; }
    // --- For a client, which has one request at a time ---
    // A read of a response is waiting, and no byte of it has been received.
    bool waits_for_first_byte() const noexcept {
        return !queue_.empty() && reading_ && buffer_.empty();
    }
    // Called before and after a request is written.
    void begin_exchange() noexcept { arrived_ = request_sent_ = early_ = false; }
    void request_sent() noexcept { request_sent_ = true; }
    // is_early(): the first byte of the response arrived before request_sent(). arrived_before():
    // it arrived by the kernel entry of that number, before the kernel received the request.
    bool is_early() const noexcept { return early_; }
    bool arrived_before(std::uint64_t enters) const noexcept {
        return arrived_ && arrival_ <= enters;
    }
    bool is_tunnel() const noexcept { return content_ == Body::tunnel; }

    // All content of the message has been read.
    bool content_is_over() const noexcept {
        return content_ == Body::none || content_ == Body::tunnel;
    }
    // Bytes of content to come: 0 if the length is unknown, never UINT64_MAX.
    std::uint64_t content_left() const noexcept { return content_left_; }
    bool busy() const noexcept { return reading_; }
    // Called when the engine is destroyed: no Aio may remain.
    void drop_aio() noexcept { inner_.reset(); }

private:
    enum class Kind : std::uint8_t { request, response, raw, raw_all, content, content_all };
    struct Note {  // in the scratch space of a queued Aio
        void* message;
        Kind kind;
    };
    // The next step of the operation at the front of the queue.
    enum class Step { finished, more_bytes, handed_on, direct };
    struct Incomplete;  // a parser that has parsed the first part of a head
    struct Chunks {     // the decoder of chunked content
        Chunks(const Limits& limits, Strictness strictness)
            : room(std::min<std::size_t>(limits.fields, 1 << 16)),
              decoder(room, limits, best_scanner(), strictness) {}

        std::vector<FieldSlice> room;
        ChunkedDecoder decoder;
        std::size_t decoded = 0;  // decoded content at the front of the buffer
    };

    static Note& note_of(Aio& aio) noexcept;
    static bool has_room(Aio& aio) noexcept { return Provider::cursor(aio).remaining() > 0; }
    static MessageSource& of(Aio& aio) noexcept;
    static void start(Aio& aio, Kind kind, bool vector) noexcept;
    static void on_cancel(Aio& aio) noexcept;

    void submit(Aio& aio, Kind kind, void* message) noexcept;
    void serve() noexcept;
    Step step(Aio& front) noexcept;
    Step end(Aio& front, std::error_code error) noexcept;
    void leave(Aio& aio) noexcept;

    Step read_head(Aio& front) noexcept;
    void note_arrival() noexcept;
    HttpErrc fault_of_interim(int status) noexcept;
    template <class Parser>
    Step parse_head(Aio& front, Parser& parser) noexcept;
    Step take_head(Aio& front, const RequestHead& head) noexcept;
    Step take_head(Aio& front, const ResponseHead& head) noexcept;
    Step wait_for_head(Aio& front) noexcept;
    void forget_incomplete() noexcept;
    Step begin_content(Aio& front, Body body, std::uint64_t length, std::error_code error) noexcept;
    Step fail_head(Aio& front, HttpErrc fault) noexcept;

    Step read_raw(Aio& front, bool all) noexcept;
    Step read_content(Aio& front, bool all) noexcept;
    Step read_chunks(Aio& front, bool all) noexcept;
    Step after_copy(Aio& front, bool all) noexcept;
    Step skip_content(Aio& front) noexcept;
    // Bytes that may be read directly into the caller's buffers, without parsing.
    std::uint64_t direct_limit() const noexcept;
    std::size_t copy_to(Aio& aio, std::string_view bytes) noexcept;

    bool fill() noexcept;
    void read_direct(Aio& front) noexcept;
    void on_read() noexcept;
    void on_direct(std::error_code error, std::size_t count) noexcept;
    void end_early(Aio& front, std::error_code error) noexcept;

    Session& session_;
    Stream& stream_;
    std::optional<Aio> inner_;
    AioQueue queue_;
    ReceiveBuffer buffer_;
    std::span<char> room_;  // the destination of inner_, unless direct_
    std::unique_ptr<Incomplete> incomplete_;
    std::unique_ptr<Chunks> chunks_;
    Backlog<RequestMethod> asked_;
    std::uint64_t arrival_ = 0;  // the count of enters at the first byte of a response
    std::uint64_t content_left_ = 0;
    std::int64_t head_deadline_ns_ = 0;  // of a partly received head; 0: none
    Body content_ = Body::none;
    bool reading_ = false;       // the stream has inner_
    bool direct_ = false;        // into the buffers of the front
    bool broken_ = false;        // a message was malformed, so no later one can be parsed
    bool keep_alive_ = true;     // of the last message
    bool content_read_ = false;  // a read of this message's content has begun
    bool arrived_ = false;       // the first byte of the response has arrived
    bool request_sent_ = false;  // the whole request
    bool early_ = false;
    unsigned interim_ = 0;  // interim responses (1xx) before the final one
};

}  // namespace uaio::http
