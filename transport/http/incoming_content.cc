#include "transport/http/incoming_content.h"

#include "base/check.h"

#include <new>

namespace uaio::http {

bool IncomingContent::begin_some(ContentFraming framing, std::uint64_t length, const Limits& limits,
                                 Strictness strictness) noexcept {
    DCHECK(framing != ContentFraming::length || (length > 0 && length < UINT64_MAX));
    framing_ = framing;
    left_ = framing == ContentFraming::length ? length : 0;
    chunks_.reset();
    if (framing != ContentFraming::chunked) return true;
    try {
        chunks_ = std::make_unique<Chunks>(limits, strictness);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

std::uint64_t IncomingContent::direct_limit() const noexcept {
    switch (framing_) {
        case ContentFraming::length: return left_;
        case ContentFraming::chunked: return chunks_->decoder.chunk_left();
        default: return UINT64_MAX;
    }
}

IncomingContent::Front IncomingContent::front(ReceiveBuffer& buffer) noexcept {
    if (is_over()) return {Front::Outcome::complete};
    if (framing_ == ContentFraming::chunked) return front_of_chunks(buffer);
    std::string_view bytes = buffer.bytes();
    if (framing_ == ContentFraming::length && bytes.size() > left_) {
        bytes = bytes.substr(0, static_cast<std::size_t>(left_));
    }
    return {bytes.empty() ? Front::Outcome::empty : Front::Outcome::content, bytes};
}

IncomingContent::Front IncomingContent::front_of_chunks(ReceiveBuffer& buffer) noexcept {
    if (chunks_->decoded == 0) {
        if (buffer.empty()) return {Front::Outcome::empty};
        const Chunked decoded = chunks_->decoder.decode(buffer.bytes());
        if (decoded.outcome == Chunked::Outcome::malformed) {
            return {Front::Outcome::malformed, {}, decoded.fault};
        }
        buffer.consume(decoded.consumed - decoded.data.size());
        if (decoded.outcome == Chunked::Outcome::need_more) return {Front::Outcome::incomplete};
        if (decoded.outcome == Chunked::Outcome::complete) {
            framing_ = ContentFraming::none;
            return {Front::Outcome::complete};
        }
        chunks_->decoded = decoded.data.size();
    }
    DCHECK(chunks_->decoded <= buffer.bytes().size());
    return {Front::Outcome::content, buffer.bytes().substr(0, chunks_->decoded)};
}

void IncomingContent::taken(std::size_t count) noexcept {
    DCHECK(framing_ != ContentFraming::length || count <= left_);
    DCHECK(framing_ != ContentFraming::chunked || count <= chunks_->decoded);
    if (framing_ == ContentFraming::chunked) chunks_->decoded -= count;
    if (framing_ == ContentFraming::length && (left_ -= count) == 0)
        framing_ = ContentFraming::none;
    DCHECK(invariants_hold());
}

void IncomingContent::received(std::size_t count) noexcept {
    DCHECK(framing_ != ContentFraming::chunked || chunks_->decoded == 0);
    if (framing_ == ContentFraming::chunked) chunks_->decoder.skip(count);
    if (framing_ != ContentFraming::length) return;
    ALWAYS_CHECK(count <= left_, "a stream read bytes behind the content that was asked for");
    if ((left_ -= count) == 0) framing_ = ContentFraming::none;
}

IncomingContent::Front IncomingContent::skip(ReceiveBuffer& buffer) noexcept {
    for (;;) {
        const Front found = front(buffer);
        if (found.outcome != Front::Outcome::content) return found;
        buffer.consume(found.bytes.size());
        taken(found.bytes.size());
    }
}

void IncomingContent::expose_framing() noexcept {
    if (framing_ != ContentFraming::chunked) return;
    framing_ = ContentFraming::none;
    chunks_.reset();
}

void IncomingContent::taken_raw(std::size_t count) noexcept {
    if (framing_ == ContentFraming::length) {
        taken(static_cast<std::size_t>(std::min<std::uint64_t>(left_, count)));
    }
}

void IncomingContent::decide_tunnel(bool accepted) noexcept {
    if (accepted) {
        framing_ = ContentFraming::tunnel;
        left_ = 0;
    } else if (framing_ == ContentFraming::tunnel) {
        framing_ = ContentFraming::none;
    }
    DCHECK(invariants_hold());
}

}  // namespace uaio::http
