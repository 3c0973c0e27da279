// Chunked transfer coding (RFC 9112 section 7.1): a decoder, and the framing lines of an encoder.
// The decoder is strict unless the caller asks for a lenient one. No I/O, no allocation. Not
// thread-safe.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include "transport/http/format/field_parser.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace uaio::http {

// Result of decode().
struct Chunked {
    enum class Outcome {
        data,       // use `data`, drop `consumed` bytes, and call again with the rest
        need_more,  // drop `consumed` bytes, and call again when more have arrived after the rest
        complete,   // the content has ended; drop `consumed` bytes after use of trailers()
        malformed,  // `fault` is the error; every later call returns it again
    };
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0;
    std::string_view data;  // part of the bytes given; never empty if the outcome is data
    HttpErrc fault = kFine;
};

// Buffers nothing: a trailer section must stay in the caller's buffer until it is complete;
// Limits::trailer bounds its size. Extensions are checked and dropped.
class ChunkedDecoder {
public:
    // Stores trailer fields in `room`, which must outlive the decoder; accepts at most room.size()
    // and at most Limits::fields of them. A lenient decoder also accepts bare line feeds as line
    // ends, white space after a size, any text as an extension, and all input that a lenient
    // FieldParser accepts.
    explicit ChunkedDecoder(std::span<FieldSlice> room, const Limits& limits = {},
                            const Scanner& scanner = best_scanner(),
                            Strictness strictness = Strictness::strict) noexcept;

    void reset() noexcept;
    Chunked decode(std::string_view bytes) noexcept;

    // Bytes of the current chunk that decode() has not yet seen. The caller may read up to that
    // many directly into their destination, and then skip() them.
    std::uint64_t chunk_left() const noexcept { return state_ == State::data ? left_ : 0; }
    // REQUIRES: count is at most chunk_left().
    void skip(std::uint64_t count) noexcept;

    // The trailer fields, once decoding is complete: views of the bytes given to the last call.
    // They are not header fields, since a sender can put fields there that a proxy did not inspect
    // (RFC 9110 6.5.1).
    FieldViews trailers() const noexcept { return trailers_; }

private:
    enum class State : std::uint8_t {
        size,         // its digits
        size_gap,     // white space after the size or a value: then ";"
        name_begin,   // after ";"
        name,         // of an extension
        name_gap,     // white space after it: then ";" or "="
        value_begin,  // after "="
        value,        // a token
        quoted,       // a quoted string
        escaped,      // after its backslash
        quoted_end,   // after its end
        text_gap,     // lenient: white space after the size, then ";" or the line end
        text,         // lenient: any text up to the line end
        line_feed,    // of the line with the size
        data,         // the chunk's bytes
        data_return,  // the line end after them
        data_line_feed,
        trailer,
        complete,
        failed,
    };

    Chunked fail(HttpErrc fault) noexcept;
    // Advances the state by one byte of a size line; returns the fault. Counts extension bytes.
    HttpErrc take(char byte) noexcept;
    HttpErrc take_size(char byte) noexcept;
    HttpErrc take_extension(char byte) noexcept;
    HttpErrc take_text(char byte) noexcept;
    HttpErrc end_size() noexcept;
    bool strict() const noexcept { return strictness_ == Strictness::strict; }
    void begin_size() noexcept;
    Chunked decode_trailer(std::string_view bytes, std::size_t consumed) noexcept;

    FieldParser fields_;
    FieldViews trailers_;
    std::size_t extension_limit_;
    std::size_t extensions_limit_;
    std::size_t extension_ = 0;   // bytes of this chunk's
    std::size_t extensions_ = 0;  // bytes of all chunks'
    std::uint64_t left_ = 0;      // the size so far, or the rest of the chunk
    unsigned digits_ = 0;
    State state_ = State::size;
    const Strictness strictness_;
    HttpErrc fault_ = kFine;
};

// The size line of a chunk of `size` bytes, at least 1 (0 would end the content). Unless the chunk
// is the first, the line end of the previous chunk precedes it: "\r\n1a\r\n". The view is a part of
// `room`.
inline constexpr std::size_t kChunkHeadSize = 20;
std::string_view chunk_head(std::uint64_t size, bool first,
                            std::array<char, kChunkHeadSize>& room) noexcept;

// Ends content without trailer fields: after at least one chunk, or after none.
inline constexpr std::string_view kLastChunk = "\r\n0\r\n\r\n";
inline constexpr std::string_view kOnlyChunk = "0\r\n\r\n";

}  // namespace uaio::http
