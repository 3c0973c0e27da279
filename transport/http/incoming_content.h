// The content of the message that a connection is receiving: which of the bytes behind the head are
// content, and where the next message begins (RFC 9112 section 6). No I/O: works on the bytes of
// the receive buffer, and counts those that went around it. Engine's thread only.
#pragma once

#include "base/check.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/framing.h"
#include "transport/http/receive_buffer.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace uaio::http {

class IncomingContent {
public:
    // The result of front().
    struct Front {
        enum class Outcome : std::uint8_t {
            content,     // `bytes`, a part of the buffer: use some of them, then call taken()
            empty,       // no byte is in the buffer; direct_limit() bytes need no parsing
            incomplete,  // a part of a line between chunks is in the buffer
            complete,    // the content has ended
            malformed,   // `fault` is the error
        };
        Outcome outcome = Outcome::empty;
        std::string_view bytes = {};
        HttpErrc fault = kFine;
    };

    // Begins the content behind a head. `length` is for ContentFraming::length. False if out of
    // memory: the content cannot be read.
    bool begin(ContentFraming framing, std::uint64_t length, const Limits& limits,
               Strictness strictness) noexcept {
        DCHECK(is_over() && invariants_hold());
        if (framing != ContentFraming::none || chunks_)
            return begin_some(framing, length, limits, strictness);
        framing_ = ContentFraming::none;
        left_ = 0;
        return true;
    }

    // All content has been read, or there is none.
    bool is_over() const noexcept {
        return framing_ == ContentFraming::none || framing_ == ContentFraming::tunnel;
    }
    // The bytes behind the head are not HTTP.
    bool is_tunnel() const noexcept { return framing_ == ContentFraming::tunnel; }
    bool has_length() const noexcept { return framing_ == ContentFraming::length; }
    // The content has an end of its own, which has not been reached.
    bool is_framed() const noexcept {
        return framing_ == ContentFraming::length || framing_ == ContentFraming::chunked;
    }
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
    // Drops content up to the end of the content, or of the buffer. Outcome: that of front(), but
    // not content.
    Front skip(ReceiveBuffer& buffer) noexcept;

    // The caller reads raw bytes, and chunks with their framing from now on.
    void expose_framing() noexcept;
    // `count` raw bytes were taken from the buffer, perhaps also behind the content.
    void taken_raw(std::size_t count) noexcept;
    // The stream has ended.
    void end_of_stream() noexcept {
        if (framing_ == ContentFraming::until_close) framing_ = ContentFraming::none;
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

    bool begin_some(ContentFraming framing, std::uint64_t length, const Limits& limits,
                    Strictness strictness) noexcept;
    Front front_of_chunks(ReceiveBuffer& buffer) noexcept;
    bool invariants_hold() const noexcept {
        return (left_ > 0) == (framing_ == ContentFraming::length) &&
               (framing_ == ContentFraming::chunked || !chunks_ || chunks_->decoded == 0);
    }

    std::unique_ptr<Chunks> chunks_;
    std::uint64_t left_ = 0;  // if the length is known
    ContentFraming framing_ = ContentFraming::none;
};

}  // namespace uaio::http
