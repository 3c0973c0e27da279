#include "transport/http/incoming_body.h"

#include "base/check.h"

#include <new>

namespace uaio::http {

bool IncomingBody::begin(Body body, std::uint64_t length, const Limits& limits,
                         Strictness strictness) noexcept {
    DCHECK(is_over() && invariants_hold());
    DCHECK(body != Body::length || (length > 0 && length < UINT64_MAX));
    body_ = body;
    left_ = body == Body::length ? length : 0;
    chunks_.reset();
    if (body != Body::chunked) return true;
    try {
        chunks_ = std::make_unique<Chunks>(limits, strictness);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

std::uint64_t IncomingBody::direct_limit() const noexcept {
    switch (body_) {
        case Body::length: return left_;
        case Body::chunked: return chunks_->decoder.chunk_left();
        default: return UINT64_MAX;
    }
}

IncomingBody::Front IncomingBody::front(ReceiveBuffer& buffer) noexcept {
    if (is_over()) return {Front::Outcome::complete};
    if (body_ == Body::chunked) return front_of_chunks(buffer);
    std::string_view bytes = buffer.bytes();
    if (body_ == Body::length && bytes.size() > left_) {
        bytes = bytes.substr(0, static_cast<std::size_t>(left_));
    }
    return {bytes.empty() ? Front::Outcome::empty : Front::Outcome::content, bytes};
}

IncomingBody::Front IncomingBody::front_of_chunks(ReceiveBuffer& buffer) noexcept {
    if (chunks_->decoded == 0) {
        if (buffer.empty()) return {Front::Outcome::empty};
        const Chunked decoded = chunks_->decoder.decode(buffer.bytes());
        if (decoded.outcome == Chunked::Outcome::malformed) {
            return {Front::Outcome::malformed, {}, decoded.fault};
        }
        buffer.consume(decoded.consumed - decoded.data.size());
        if (decoded.outcome == Chunked::Outcome::need_more) return {Front::Outcome::incomplete};
        if (decoded.outcome == Chunked::Outcome::complete) {
            body_ = Body::none;
            return {Front::Outcome::complete};
        }
        chunks_->decoded = decoded.data.size();
    }
    DCHECK(chunks_->decoded <= buffer.bytes().size());
    return {Front::Outcome::content, buffer.bytes().substr(0, chunks_->decoded)};
}

void IncomingBody::taken(std::size_t count) noexcept {
    DCHECK(body_ != Body::length || count <= left_);
    DCHECK(body_ != Body::chunked || count <= chunks_->decoded);
    if (body_ == Body::chunked) chunks_->decoded -= count;
    if (body_ == Body::length && (left_ -= count) == 0) body_ = Body::none;
    DCHECK(invariants_hold());
}

void IncomingBody::received(std::size_t count) noexcept {
    DCHECK(body_ != Body::chunked || chunks_->decoded == 0);
    if (body_ == Body::chunked) chunks_->decoder.skip(count);
    if (body_ != Body::length) return;
    CHECK(count <= left_, "a stream read bytes behind the content that was asked for");
    if ((left_ -= count) == 0) body_ = Body::none;
}

IncomingBody::Front IncomingBody::skip(ReceiveBuffer& buffer) noexcept {
    for (;;) {
        const Front found = front(buffer);
        if (found.outcome != Front::Outcome::content) return found;
        buffer.consume(found.bytes.size());
        taken(found.bytes.size());
    }
}

void IncomingBody::expose_framing() noexcept {
    if (body_ != Body::chunked) return;
    body_ = Body::none;
    chunks_.reset();
}

void IncomingBody::taken_raw(std::size_t count) noexcept {
    if (body_ == Body::length) {
        taken(static_cast<std::size_t>(std::min<std::uint64_t>(left_, count)));
    }
}

void IncomingBody::decide_tunnel(bool accepted) noexcept {
    if (accepted) {
        body_ = Body::tunnel;
        left_ = 0;
    } else if (body_ == Body::tunnel) {
        body_ = Body::none;
    }
    DCHECK(invariants_hold());
}

}  // namespace uaio::http
