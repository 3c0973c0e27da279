#include "transport/http/outgoing_content.h"

#include <uaio/argument_error.h>

#include "base/check.h"

#include <utility>

namespace uaio::http {

void OutgoingContent::begin(const FollowingMessage& following, bool streamed,
                            bool announces_none) noexcept {
    DCHECK(!is_open());
    const bool has_content =
        following.framing != ContentFraming::none && following.framing != ContentFraming::tunnel;
    dropped_ = streamed && !has_content;
    written_ = 0;
    if (streamed && has_content) {
        framing_ = following.framing;
        left_ = following.length;
        first_chunk_ = true;
    } else if (announces_none) {
        framing_ = ContentFraming::length;
        left_ = 0;
    }
}

void OutgoingContent::abandon() noexcept {
    framing_ = ContentFraming::none;
    dropped_ = false;
}

std::span<const iovec> OutgoingContent::frame(std::span<const iovec> content,
                                              Entries& room) noexcept {
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
    framing_bytes_ = 0;
    if (framing_ != ContentFraming::chunked) return std::span(room.data() + 1, used - 1);
    const std::string_view line = chunk_head(piece_, first_chunk_, chunk_head_);
    room[0] = {const_cast<char*>(line.data()), line.size()};
    framing_bytes_ = line.size();
    return std::span(room.data(), used);
}

std::error_code OutgoingContent::frame_end(const Headers* trailer,
                                           std::string_view& last) noexcept {
    last = {};
    if (std::exchange(dropped_, false)) return {};
    if (framing_ == ContentFraming::none || (framing_ == ContentFraming::length && left_ > 0))
        return ArgumentErrc::wrong_message_state;
    if (framing_ != ContentFraming::chunked) {
        framing_ = ContentFraming::none;
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
    framing_bytes_ = last.size();
    piece_ = 0;
    return {};
}

std::size_t OutgoingContent::sent(std::size_t bytes) noexcept {
    ALWAYS_CHECK(bytes <= framing_bytes_ + piece_, "a stream wrote more bytes than it was given");
    const std::size_t content = bytes > framing_bytes_ ? bytes - framing_bytes_ : 0;
    written_ += content;
    if (framing_ == ContentFraming::length) left_ -= content;
    if (piece_ > 0 && bytes > 0) first_chunk_ = false;
    return content;
}

bool OutgoingContent::end() noexcept {
    if (framing_ == ContentFraming::until_close) framing_ = ContentFraming::none;
    dropped_ = false;
    return !is_open();
}

}  // namespace uaio::http
