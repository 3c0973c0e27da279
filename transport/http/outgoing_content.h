// The content of the message that a connection is writing, if it is not attached to the message and
// follows in pieces: frames the pieces, and counts what is left (RFC 9112 section 6). No I/O.
// Engine's thread only.
#pragma once

#include <uaio/aio.h>
#include <uaio/http_headers.h>

#include "base/check.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/serialiser.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

namespace uaio::http {

class OutgoingContent {
public:
    // As many entries as an Aio holds without allocation, but at least four; the first is for the
    // line of a chunk.
    using Entries = std::array<iovec, std::max<std::size_t>(kInlineIov, 4)>;

    // Begins the content behind a head. `streamed`: the content, if there is any, follows in
    // pieces. `announces_none`: the message says so itself, so no content follows but end() is
    // allowed.
    void begin(const FollowingMessage& following, bool streamed, bool announces_none) noexcept;
    // The same for a message whose content is sent with the head.
    void begin_none() noexcept {
        DCHECK(!is_open());
        dropped_ = false;
        written_ = 0;
    }
    // Its head was not sent, so no content follows.
    void abandon() noexcept;

    // Content is still to be written.
    bool is_open() const noexcept {
        return framing_ != ContentFraming::none &&
               !(framing_ == ContentFraming::length && left_ == 0);
    }
    // The message must not have content, so pieces are dropped.
    bool is_dropped() const noexcept { return dropped_; }
    // More bytes are left than the message has announced.
    bool exceeds(std::size_t bytes) const noexcept {
        return framing_ == ContentFraming::length && bytes > left_;
    }
    // Bytes of content written so far, without their framing.
    std::uint64_t written() const noexcept { return written_; }

    // Frames the front of `content`, as many entries as fit; the result is a part of `room`.
    std::span<const iovec> frame(std::span<const iovec> content, Entries& room) noexcept;
    // Frames the end of the content, with the fields of `trailer`, unless that is null. `last` is
    // empty if nothing has to be written. ArgumentErrc::wrong_message_state if content is missing
    // or the message has none; the errors of write_trailer().
    [[nodiscard]] std::error_code frame_end(const Headers* trailer,
                                            std::string_view& last) noexcept;
    // The stream has taken that many bytes of what was framed last. Returns how many of them were
    // content.
    std::size_t sent(std::size_t bytes) noexcept;
    // All content has been written, with its end.
    void complete() noexcept {
        DCHECK(framing_ == ContentFraming::chunked && piece_ == 0);
        framing_ = ContentFraming::none;
    }
    // Ends the content without a further byte. False if more was announced.
    bool end() noexcept;

private:
    std::string trailer_;
    std::array<char, kChunkHeadSize> chunk_head_;
    std::size_t framing_bytes_ = 0;  // bytes of framing, and of content, in what was framed last
    std::size_t piece_ = 0;
    std::uint64_t left_ = 0;  // if the length is known
    std::uint64_t written_ = 0;
    ContentFraming framing_ = ContentFraming::none;
    bool first_chunk_ = true;
    bool dropped_ = false;
};

}  // namespace uaio::http
