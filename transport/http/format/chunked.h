// Chunked content (RFC 9112 section 7.1): a decoder, and the lines that an encoder puts around the
// bytes. Strict unless the caller asks for a lenient decoder, free of I/O, without allocating. Not
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

// What decode() made of the bytes it was given.
struct Chunked {
    enum class Outcome {
        data,       // use `data`, drop `consumed` bytes, and call again with what is left
        need_more,  // drop `consumed` bytes, and call again when more have come behind the rest
        complete,   // drop `consumed` bytes once trailers() is not needed: the content is over
        malformed,  // `fault` says what is wrong; every later call says the same
    };
    Outcome outcome = Outcome::need_more;
    std::size_t consumed = 0;
    std::string_view data;  // part of the bytes given; never empty if the outcome is data
    HttpErrc fault = kFine;
};

// Keeps no bytes: only a trailer has to stay in the caller's buffer until all of it is there, which
// Limits::trailer bounds. Extensions are checked and dropped.
class ChunkedDecoder {
public:
    // Trailer fields are put into `room`, which must outlive the decoder: at most so many, and at
    // most Limits::fields, may come.
    // A lenient decoder accepts line feeds alone as line ends, white space behind a size, any text
    // as an extension, and what a lenient FieldParser does.
    explicit ChunkedDecoder(std::span<FieldSlice> room, const Limits& limits = {},
                            const Scanner& scanner = best_scanner(),
                            Strictness strictness = Strictness::strict) noexcept;

    void reset() noexcept;
    Chunked decode(std::string_view bytes) noexcept;

    // Bytes of the current chunk that are still to come: so many may be read to where they are
    // wanted, without decode() seeing them, and then are skipped.
    std::uint64_t chunk_left() const noexcept { return state_ == State::data ? left_ : 0; }
    // REQUIRES: count is at most chunk_left().
    void skip(std::uint64_t count) noexcept;

    // The trailer's fields, once decoding is complete: views of the bytes of that last call. They
    // are none of the head's: a sender can put there what a proxy did not look at (RFC 9110 6.5.1).
    FieldViews trailers() const noexcept { return trailers_; }

private:
    enum class State : std::uint8_t {
        size,         // its digits
        size_gap,     // white space behind the size or a value: then ";"
        name_begin,   // after ";"
        name,         // of an extension
        name_gap,     // white space behind it: then ";" or "="
        value_begin,  // after "="
        value,        // a token
        quoted,       // a quoted string
        escaped,      // after its backslash
        quoted_end,   // after its end
        text_gap,     // lenient: white space behind the size, then ";" or the line end
        text,         // lenient: any text up to the line end
        line_feed,    // of the line with the size
        data,         // the chunk's bytes
        data_return,  // the line end behind them
        data_line_feed,
        trailer,
        complete,
        failed,
    };

    Chunked fail(HttpErrc fault) noexcept;
    // The state after this byte of a line with a size, or the fault. Counts extensions.
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
    std::uint64_t left_ = 0;      // the size so far, or what is left of the chunk
    unsigned digits_ = 0;
    State state_ = State::size;
    const Strictness strictness_;
    HttpErrc fault_ = kFine;
};

// The line before a chunk of `size` bytes, at least 1 (0 would end the content), with the line end
// of the chunk before it unless it is the first: "\r\n1a\r\n". Made in `room` and valid as long.
inline constexpr std::size_t kChunkHeadSize = 20;
std::string_view chunk_head(std::uint64_t size, bool first,
                            std::array<char, kChunkHeadSize>& room) noexcept;

// What ends content without a trailer, behind at least one chunk, or behind none.
inline constexpr std::string_view kLastChunk = "\r\n0\r\n\r\n";
inline constexpr std::string_view kOnlyChunk = "0\r\n\r\n";

}  // namespace uaio::http
