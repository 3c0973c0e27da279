#include "transport/http/format/chunked.h"

#include "base/check.h"

#include <algorithm>
#include <bit>

namespace uaio::http {
namespace {

constexpr unsigned kMostDigits = 16;

// The digits of a size, and the line ends before and after them.
static_assert(kChunkHeadSize == kMostDigits + 2 * std::string_view("\r\n").size());

}  // namespace

ChunkedDecoder::ChunkedDecoder(std::span<FieldSlice> room, const Limits& limits,
                               const Scanner& scanner, Strictness strictness) noexcept
    : fields_(room, {limits.field, limits.trailer, limits.fields}, nullptr, scanner, strictness),
      extension_limit_(limits.chunk_extension),
      extensions_limit_(limits.chunk_extensions),
      strictness_(strictness) {}

void ChunkedDecoder::reset() noexcept {
    fields_.start(0);
    trailers_ = {};
    extension_ = 0;
    extensions_ = 0;
    left_ = 0;
    digits_ = 0;
    state_ = State::size;
    fault_ = kFine;
}

Chunked ChunkedDecoder::fail(HttpErrc fault) noexcept {
    DCHECK(fault != kFine && state_ != State::failed);
    state_ = State::failed;
    fault_ = fault;
    return {Chunked::Outcome::malformed, 0, {}, fault};
}

void ChunkedDecoder::skip(std::uint64_t count) noexcept {
    ALWAYS_CHECK(count <= chunk_left(), "more bytes skipped than the chunk has left");
    if (count == 0) return;
    left_ -= count;
    if (left_ == 0) state_ = State::data_return;
}

HttpErrc ChunkedDecoder::take_size(char byte) noexcept {
    if (is(kHexDigit, byte)) {
        // Sixteen digits hold every 64-bit size; more digits, even zeros, serve only to deceive.
        if (++digits_ > kMostDigits) return HttpErrc::bad_chunk_size;
        left_ = left_ << 4 | hex_value(byte);
        return kFine;
    }
    if (digits_ == 0) return HttpErrc::bad_chunk_size;
    if (byte == '\r') {
        state_ = State::line_feed;
    } else if (byte == ';') {
        state_ = strict() ? State::name_begin : State::text;
    } else if (is(kWhiteSpace, byte)) {
        state_ = strict() ? State::size_gap : State::text_gap;
    } else if (byte == '\n') {
        return strict() ? HttpErrc::bare_line_feed : end_size();
    } else {
        return HttpErrc::bad_chunk_size;
    }
    return kFine;
}

// After a size, a lenient decoder skips white space and an extension of any text.
HttpErrc ChunkedDecoder::take_text(char byte) noexcept {
    DCHECK(state_ == State::text_gap || state_ == State::text);
    if (byte == '\n') return end_size();
    if (byte == '\r') {
        state_ = State::line_feed;
    } else if (byte == ';') {
        state_ = State::text;
    } else if (!is(state_ == State::text ? kValue : kWhiteSpace, byte)) {
        return HttpErrc::bad_chunk_extension;
    }
    return kFine;
}

// RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ). White space
// without a ";" after it is an error.
HttpErrc ChunkedDecoder::take_extension(char byte) noexcept {
    const bool space = is(kWhiteSpace, byte);
    const bool token = is(kToken, byte);
    switch (state_) {
        case State::size_gap:
            if (space) return kFine;
            break;
        case State::name_begin:
            if (space) return kFine;
            if (!token) return HttpErrc::bad_chunk_extension;
            state_ = State::name;
            return kFine;
        case State::name:
            if (token) return kFine;
            if (byte == '=') {
                state_ = State::value_begin;
                return kFine;
            }
            if (space) {
                state_ = State::name_gap;
                return kFine;
            }
            break;
        case State::name_gap:
            if (space) return kFine;
            if (byte == '=') {
                state_ = State::value_begin;
                return kFine;
            }
            break;
        case State::value_begin:
            if (space) return kFine;
            if (!token && byte != '"') return HttpErrc::bad_chunk_extension;
            state_ = token ? State::value : State::quoted;
            return kFine;
        case State::value:
            if (token) return kFine;
            break;
        case State::quoted:
            if (!is(kValue, byte)) return HttpErrc::bad_chunk_extension;
            if (byte == '\\') state_ = State::escaped;
            if (byte == '"') state_ = State::quoted_end;
            return kFine;
        case State::escaped:
            if (!is(kValue, byte)) return HttpErrc::bad_chunk_extension;
            state_ = State::quoted;
            return kFine;
        default: DCHECK(state_ == State::quoted_end); break;
    }
    // Between extensions.
    const bool gap = state_ == State::size_gap || state_ == State::name_gap;
    if (byte == ';') {
        state_ = State::name_begin;
    } else if (byte == '\r' && !gap) {
        state_ = State::line_feed;
    } else if (space) {
        state_ = State::size_gap;
    } else {
        return HttpErrc::bad_chunk_extension;
    }
    return kFine;
}

HttpErrc ChunkedDecoder::take(char byte) noexcept {
    switch (state_) {
        case State::size: return take_size(byte);
        case State::line_feed: return byte == '\n' ? end_size() : HttpErrc::bare_carriage_return;
        case State::data_return:
            if (byte == '\n' && !strict()) return begin_size(), kFine;
            if (byte != '\r') return HttpErrc::bad_chunk_end;
            state_ = State::data_line_feed;
            return kFine;
        case State::data_line_feed:
            if (byte != '\n') return HttpErrc::bad_chunk_end;
            return begin_size(), kFine;
        default: break;
    }
    if (byte == '\n' && strict()) return HttpErrc::bare_line_feed;
    // The count omits the ";" or space that began the extension, and includes the line end instead.
    if (++extension_ > extension_limit_ || ++extensions_ > extensions_limit_)
        return HttpErrc::chunk_extension_too_long;
    return strict() ? take_extension(byte) : take_text(byte);
}

void ChunkedDecoder::begin_size() noexcept {
    DCHECK(left_ == 0);
    state_ = State::size;
    digits_ = 0;
}

HttpErrc ChunkedDecoder::end_size() noexcept {
    DCHECK(digits_ >= 1 && digits_ <= kMostDigits);
    extension_ = 0;
    if (std::bit_width(left_) == 64) return HttpErrc::chunk_too_large;
    state_ = left_ == 0 ? State::trailer : State::data;
    return kFine;
}

Chunked ChunkedDecoder::decode_trailer(std::string_view bytes, std::size_t consumed) noexcept {
    const Parsed parsed = fields_.parse(bytes);
    if (parsed.progress == Progress::malformed) return fail(parsed.fault);
    if (parsed.progress == Progress::need_more)
        return {Chunked::Outcome::need_more, consumed, {}, kFine};
    DCHECK(left_ == 0 && parsed.consumed <= bytes.size());
    trailers_ = fields_.fields(bytes.data());
    state_ = State::complete;
    return {Chunked::Outcome::complete, consumed + parsed.consumed, {}, kFine};
}

Chunked ChunkedDecoder::decode(std::string_view bytes) noexcept {
    std::size_t at = 0;
    for (;;) {
        DCHECK(at <= bytes.size() && (state_ != State::data || left_ > 0));
        switch (state_) {
            case State::failed: return {Chunked::Outcome::malformed, 0, {}, fault_};
            case State::complete: return {Chunked::Outcome::complete, at, {}, kFine};
            case State::trailer: return decode_trailer(bytes.substr(at), at);
            case State::data: {
                if (at == bytes.size()) return {Chunked::Outcome::need_more, at, {}, kFine};
                const std::size_t size =
                    static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
                skip(size);
                return {Chunked::Outcome::data, at + size, bytes.substr(at, size), kFine};
            }
            default:
                if (at == bytes.size()) return {Chunked::Outcome::need_more, at, {}, kFine};
                if (const HttpErrc fault = take(bytes[at]); fault != kFine) return fail(fault);
                ++at;
        }
    }
}

std::string_view chunk_head(std::uint64_t size, bool first,
                            std::array<char, kChunkHeadSize>& room) noexcept {
    DCHECK(size > 0);
    std::size_t begin = room.size();
    const auto put = [&](char character) { room[--begin] = character; };
    put('\n');
    put('\r');
    for (std::uint64_t rest = size; rest != 0; rest >>= 4)
        put("0123456789abcdef"[rest & 15]);
    if (!first) {
        put('\n');
        put('\r');
    }
    return {room.data() + begin, room.size() - begin};
}

}  // namespace uaio::http
