// The read side of an HTTP connection: a FIFO of operations that want a head, content, or raw
// bytes. Heads are parsed in a buffer; raw bytes and long content go straight into the caller's
// vector once the buffer is empty. There is one read of the stream below at a time, made with an
// Aio of this object's own, and an operation that ends early leaves what came in the buffer.
// Engine's thread only.
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

// What matters of a request to whoever frames its response.
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

    // True if raw reads may go to the stream at once.
    bool plain() const noexcept;
    // A request was written whose response will come: how it ends depends on the method. False
    // without memory.
    bool expect_response(RequestMethod asked) noexcept { return asked_.push(asked); }
    // What was read last has turned the connection into a tunnel, or has not.
    void decide_tunnel(bool accepted) noexcept;
    bool keeps_alive() const noexcept { return keep_alive_; }
    // Something has been received that nobody has asked for yet.
    bool has_bytes() const noexcept { return !buffer_.empty(); }
    // A head has begun to come and is not complete.
    bool mid_head() const noexcept { return head_deadline_ns_ != 0; }
    // --- For a client, which has one request at a time ---
    // A read of a response waits, and not a byte has come for it.
    bool waits_for_first_byte() const noexcept {
        return !queue_.empty() && reading_ && buffer_.empty();
    }
    // A request is about to be written, and has been.
    void begin_exchange() noexcept { arrived_ = request_sent_ = early_ = false; }
    void request_sent() noexcept { request_sent_ = true; }
    // The first byte of the response came before request_sent(); before the kernel was entered for
    // the time after this count of it, while it could not know of the request.
    bool is_early() const noexcept { return early_; }
    bool arrived_before(std::uint64_t enters) const noexcept {
        return arrived_ && arrival_ <= enters;
    }
    bool is_tunnel() const noexcept { return content_ == Body::tunnel; }

    // Nothing is left to read of the message's content.
    bool content_is_over() const noexcept {
        return content_ == Body::none || content_ == Body::tunnel;
    }
    // Bytes of content to come: 0 if its end is not known, UINT64_MAX never.
    std::uint64_t content_left() const noexcept { return content_left_; }
    bool busy() const noexcept { return reading_; }
    // The engine is gone: no Aio may be left.
    void drop_aio() noexcept { inner_.reset(); }

private:
    enum class Kind : std::uint8_t { request, response, raw, raw_all, content, content_all };
    struct Note {  // in the scratch of a queued Aio
        void* message;
        Kind kind;
    };
    // What an operation at the front of the queue needs next.
    enum class Step { finished, more_bytes, handed_on, direct };
    struct Incomplete;  // a parser that has seen the first part of a head
    struct Chunks {     // the decoder of chunked content
        Chunks(const Limits& limits, Strictness strictness)
            : room(std::min<std::size_t>(limits.fields, 1 << 16)),
              decoder(room, limits, best_scanner(), strictness) {}

        std::vector<FieldSlice> room;
        ChunkedDecoder decoder;
        std::size_t decoded =
            0;  // bytes at the front of the buffer that are content, and known to be
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
    // Bytes that may go straight into a vector without being looked at.
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
    std::span<char> room_;  // where inner_ reads to, unless direct_
    std::unique_ptr<Incomplete> incomplete_;
    std::unique_ptr<Chunks> chunks_;
    Backlog<RequestMethod> asked_;
    std::uint64_t arrival_ = 0;  // the count of enters when the first byte of a response came
    std::uint64_t content_left_ = 0;
    std::int64_t head_deadline_ns_ = 0;  // of the head of which a part is there; 0: of none
    Body content_ = Body::none;
    bool reading_ = false;       // inner_ is with the stream
    bool direct_ = false;        // into the vector of the front
    bool broken_ = false;        // a message could not be understood: nothing behind it can be
    bool keep_alive_ = true;     // of the last message
    bool content_read_ = false;  // somebody has asked for this message's content
    bool arrived_ = false;       // the first byte of the response
    bool request_sent_ = false;  // all of it
    bool early_ = false;
    unsigned interim_ = 0;  // responses (1xx) before the final one
};

}  // namespace uaio::http
