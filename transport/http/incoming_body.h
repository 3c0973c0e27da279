// The body of the message that a connection is receiving: which of the bytes behind the head are
// content, and where the next message begins (RFC 9112 section 6). No I/O: works on the bytes of
// the receive buffer, and counts those that went around it. Engine's thread only.
#pragma once

#include "transport/http/format/chunked.h"
#include "transport/http/format/framing.h"
#include "transport/http/receive_buffer.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace uaio::http {

class IncomingBody {
public:
    // What front() found.
    struct Front {
        enum class Outcome : std::uint8_t {
            content,     // `bytes`, a part of the buffer: use some of them, then call taken()
            empty,       // no byte is in the buffer; direct_limit() bytes need no parsing
            incomplete,  // a part of a line between chunks is in the buffer
            complete,    // the body has ended
            malformed,   // `fault` is the error
        };
        Outcome outcome = Outcome::empty;
        std::string_view bytes = {};
        HttpErrc fault = kFine;
    };

    // Begins the body behind a head. `length` is for Body::length. False if out of memory: the body
    // cannot be read.
    bool begin(Body body, std::uint64_t length, const Limits& limits,
               Strictness strictness) noexcept;

    // All content has been read, or there is none.
    bool is_over() const noexcept { return body_ == Body::none || body_ == Body::tunnel; }
    // The bytes behind the head are not HTTP.
    bool is_tunnel() const noexcept { return body_ == Body::tunnel; }
    bool has_length() const noexcept { return body_ == Body::length; }
    // The body has an end of its own, which has not been reached.
    bool is_framed() const noexcept { return body_ == Body::length || body_ == Body::chunked; }
    // Bytes of content to come: 0 if the length is unknown, never UINT64_MAX.
    std::uint64_t left() const noexcept { return left_; }
    // Bytes that may be read directly into the caller's buffers, without parsing, if the receive
    // buffer is empty.
    std::uint64_t direct_limit() const noexcept;
    // The fields behind the last chunk: views of bytes that front() dropped from the buffer, valid
    // until the buffer's next room().
    FieldViews trailers() const noexcept {
        return chunks_ ? chunks_->decoder.trailers() : FieldViews();
    }

    // Finds the content at the front of `buffer`, and drops the framing before it.
    Front front(ReceiveBuffer& buffer) noexcept;
    // `count` bytes of front() were taken from the buffer.
    void taken(std::size_t count) noexcept;
    // `count` bytes, at most direct_limit(), went directly into the caller's buffers.
    void received(std::size_t count) noexcept;
    // Drops content up to the end of the body, or of the buffer. Outcome: that of front(), but not
    // content.
    Front skip(ReceiveBuffer& buffer) noexcept;

    // The caller reads raw bytes, and chunks with their framing from now on.
    void expose_framing() noexcept;
    // `count` raw bytes were taken from the buffer, perhaps also behind the body.
    void taken_raw(std::size_t count) noexcept;
    // The stream has ended.
    void end_of_stream() noexcept {
        if (body_ == Body::until_close) body_ = Body::none;
    }
    // The last message has turned the connection into a tunnel, or has refused to.
    void decide_tunnel(bool accepted) noexcept;

private:
    struct Chunks {
        Chunks(const Limits& limits, Strictness strictness)
            : room(std::min<std::size_t>(limits.fields, 1 << 16)),
              decoder(room, limits, best_scanner(), strictness) {}

        std::vector<FieldSlice> room;
        ChunkedDecoder decoder;
        std::size_t decoded = 0;  // decoded content at the front of the buffer
    };

    Front front_of_chunks(ReceiveBuffer& buffer) noexcept;
    bool invariants_hold() const noexcept {
        return (left_ > 0) == (body_ == Body::length) &&
               (body_ == Body::chunked || !chunks_ || chunks_->decoded == 0);
    }

    std::unique_ptr<Chunks> chunks_;
    std::uint64_t left_ = 0;  // if the length is known
    Body body_ = Body::none;
};

}  // namespace uaio::http
