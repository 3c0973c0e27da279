// The part of MessageSource that delivers raw bytes, and content without its framing.
#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "transport/http/message_source.h"
#include "transport/http/session.h"

#include <algorithm>
#include <cstring>

namespace uaio::http {

// ---- raw bytes

std::size_t MessageSource::copy_to(Aio& aio, std::string_view bytes) noexcept {
    std::size_t copied = 0;
    for (const iovec& entry : Provider::cursor(aio).rest()) {
        const std::size_t part = std::min(entry.iov_len, bytes.size() - copied);
        if (part > 0) std::memcpy(entry.iov_base, bytes.data() + copied, part);
        copied += part;
    }
    Provider::advance(aio, copied);
    buffer_.consume(copied);
    forget_incomplete();  // it has parsed the bytes just removed
    return copied;
}

MessageSource::Step MessageSource::read_raw(Aio& front, bool all) noexcept {
    if (!has_room(front)) return end(front, {});
    if (content_ == Body::chunked) {  // the caller reads the framing from now on
        content_ = Body::none;
        chunks_.reset();
    }
    if (!buffer_.empty()) {
        const std::size_t copied = copy_to(front, buffer_.bytes());
        if (content_ == Body::length) {
            content_left_ -= std::min<std::uint64_t>(content_left_, copied);
            if (content_left_ == 0) content_ = Body::none;
        }
        if (!all || !has_room(front)) return end(front, {});
    }
    if (reading_) return Step::more_bytes;
    if (content_ == Body::length) return Step::direct;
    leave(front);
    Provider::forward(front, [&] { all ? stream_.read_all(front) : stream_.read(front); });
    return Step::handed_on;
}

// ---- content

std::uint64_t MessageSource::direct_limit() const noexcept {
    switch (content_) {
        case Body::length: return content_left_;
        case Body::chunked: return chunks_->decoder.chunk_left();
        default: return UINT64_MAX;
    }
}

MessageSource::Step MessageSource::read_content(Aio& front, bool all) noexcept {
    if (!has_room(front)) return end(front, {});
    if (content_ == Body::none || content_ == Body::tunnel) {
        return end(front, Errc::end_of_stream);
    }
    session_.limit_content(front);
    if (!content_read_) {
        content_read_ = true;
        if (buffer_.empty()) session_.content_wanted();
    }
    if (content_ == Body::chunked) return read_chunks(front, all);
    std::string_view bytes = buffer_.bytes();
    if (content_ == Body::length && bytes.size() > content_left_) {
        bytes = bytes.substr(0, static_cast<std::size_t>(content_left_));
    }
    if (!bytes.empty()) {
        const std::size_t copied = copy_to(front, bytes);
        if (content_ == Body::length && (content_left_ -= copied) == 0) content_ = Body::none;
        if (!all || !has_room(front)) return end(front, {});
        if (content_ == Body::none) return end(front, Errc::end_of_stream);
    }
    const bool little = direct_limit() < ReceiveBuffer::kSmall;
    return reading_ || little ? Step::more_bytes : Step::direct;
}

MessageSource::Step MessageSource::read_chunks(Aio& front, bool all) noexcept {
    for (;;) {
        if (chunks_->decoded > 0) {
            chunks_->decoded -= copy_to(front, buffer_.bytes().substr(0, chunks_->decoded));
            if (!all || !has_room(front)) return end(front, {});
        }
        if (buffer_.empty()) {
            const bool little = direct_limit() < ReceiveBuffer::kSmall;
            return reading_ || little ? Step::more_bytes : Step::direct;
        }
        const Chunked decoded = chunks_->decoder.decode(buffer_.bytes());
        switch (decoded.outcome) {
            case Chunked::Outcome::data:
                buffer_.consume(decoded.consumed - decoded.data.size());
                chunks_->decoded = decoded.data.size();
                break;
            case Chunked::Outcome::need_more:
                buffer_.consume(decoded.consumed);
                return Step::more_bytes;
            case Chunked::Outcome::malformed: return fail_head(front, decoded.fault);
            case Chunked::Outcome::complete:
                session_.took_trailer(chunks_->decoder.trailers());
                buffer_.consume(decoded.consumed);
                content_ = Body::none;
                return end(front, Errc::end_of_stream);
        }
    }
}

// Skips unread content up to the next head. Step::handed_on: all is skipped.
MessageSource::Step MessageSource::skip_content(Aio& front) noexcept {
    const std::string_view bytes = buffer_.bytes();
    switch (content_) {
        case Body::tunnel: return end(front, ArgumentErrc::wrong_message_state);
        case Body::until_close: buffer_.consume(bytes.size()); return Step::more_bytes;
        case Body::length: {
            const auto part = std::min<std::uint64_t>(content_left_, bytes.size());
            buffer_.consume(static_cast<std::size_t>(part));
            content_left_ -= part;
            if (content_left_ > 0) return Step::more_bytes;
            break;
        }
        case Body::chunked:
            buffer_.consume(chunks_->decoded);
            chunks_->decoded = 0;
            for (;;) {
                const Chunked decoded = chunks_->decoder.decode(buffer_.bytes());
                if (decoded.outcome == Chunked::Outcome::malformed) {
                    return fail_head(front, decoded.fault);
                }
                buffer_.consume(decoded.consumed);
                if (decoded.outcome == Chunked::Outcome::need_more) return Step::more_bytes;
                if (decoded.outcome == Chunked::Outcome::complete) break;
            }
            break;
        case Body::none: break;
    }
    content_ = Body::none;
    return Step::handed_on;
}

void MessageSource::decide_tunnel(bool accepted) noexcept {
    if (accepted) {
        content_ = Body::tunnel;
    } else if (content_ == Body::tunnel) {
        content_ = Body::none;
    }
}

}  // namespace uaio::http
