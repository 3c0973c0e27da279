#include "transport/http/outgoing_body.h"

#include <uaio/argument_error.h>

#include "base/check.h"

#include <utility>

namespace uaio::http {

void OutgoingBody::begin(const FollowingMessage& following, bool streamed,
                         bool announces_none) noexcept {
    DCHECK(!is_open());
    const bool has_content = following.body != Body::none && following.body != Body::tunnel;
    dropped_ = streamed && !has_content;
    written_ = 0;
    if (streamed && has_content) {
        body_ = following.body;
        left_ = following.length;
        first_chunk_ = true;
    } else if (announces_none) {
        body_ = Body::length;
        left_ = 0;
    }
}

void OutgoingBody::abandon() noexcept {
    body_ = Body::none;
    dropped_ = false;
}

std::span<const iovec> OutgoingBody::frame(std::span<const iovec> content, Entries& room) noexcept {
    DCHECK(is_open() && !dropped_);
    std::size_t used = 1;
    piece_ = 0;
    for (const iovec& entry : content) {
        if (used == room.size()) break;
        if (entry.iov_len == 0) continue;
        room[used++] = entry;
        piece_ += entry.iov_len;
    }
    DCHECK(piece_ > 0 && !exceeds(piece_));
    framing_ = 0;
    if (body_ != Body::chunked) return std::span(room.data() + 1, used - 1);
    const std::string_view line = chunk_head(piece_, first_chunk_, chunk_head_);
    room[0] = {const_cast<char*>(line.data()), line.size()};
    framing_ = line.size();
    return std::span(room.data(), used);
}

std::error_code OutgoingBody::frame_end(const Headers* trailer, std::string_view& last) noexcept {
    last = {};
    if (std::exchange(dropped_, false)) return {};
    if (body_ == Body::none || (body_ == Body::length && left_ > 0))
        return ArgumentErrc::wrong_message_state;
    if (body_ != Body::chunked) {
        body_ = Body::none;
        return {};
    }
    if (trailer == nullptr) {
        last = first_chunk_ ? kOnlyChunk : kLastChunk;
    } else if (const auto error = write_trailer(*trailer, first_chunk_, trailer_)) {
        return error;
    } else {
        last = trailer_;
    }
    DCHECK(!last.empty());
    framing_ = last.size();
    piece_ = 0;
    return {};
}

std::size_t OutgoingBody::sent(std::size_t bytes) noexcept {
    CHECK(bytes <= framing_ + piece_, "a stream wrote more bytes than it was given");
    const std::size_t content = bytes > framing_ ? bytes - framing_ : 0;
    written_ += content;
    if (body_ == Body::length) left_ -= content;
    if (piece_ > 0 && bytes > 0) first_chunk_ = false;
    return content;
}

bool OutgoingBody::end() noexcept {
    if (body_ == Body::until_close) body_ = Body::none;
    dropped_ = false;
    return !is_open();
}

}  // namespace uaio::http
