// Parses header or trailer fields up to the empty line after them. No I/O, no allocation. A strict
// parser accepts only CRLF as line end, and no continuation lines (RFC 9112 sections 2.2 and 5). A
// lenient parser, which a client may use for responses, also accepts a bare line feed as line end,
// white space before the colon, and continuation lines that begin with white space, unless the
// field determines the framing; such a value contains line ends until unfold() replaces them. Both
// reject a carriage return without a line feed. The parser can stop and resume at any byte: it
// scans each byte once, however the input is split, and reports an error at the same byte. Not
// thread-safe.
#pragma once

#include <uaio/http_error.h>
#include <uaio/http_types.h>

#include "transport/http/format/framing.h"
#include "transport/http/format/syntax.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

namespace uaio::http {

// State of a parser.
enum class Progress {
    complete,   // everything has been parsed
    need_more,  // call again with more bytes
    malformed,  // the input is invalid; every later call returns the same
};

struct Parsed {
    Progress progress = Progress::need_more;
    std::size_t consumed = 0;  // complete: size of the parsed section
    HttpErrc fault = kFine;    // malformed: the error
};

// Position of a field. Offsets, because the buffer may move while more bytes arrive. Without
// initial values: a parser has room for many fields, and most heads have few.
struct FieldSlice {
    std::uint32_t name;
    std::uint32_t name_size;
    std::uint32_t value;
    std::uint32_t value_size;
};

// Fields as views of the parsed bytes, and valid as long as those.
class FieldViews {
public:
    class Iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = Field;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Field;

        Iterator() = default;
        Iterator(const char* bytes, const FieldSlice* at) noexcept : bytes_(bytes), at_(at) {}
        Field operator*() const noexcept {
            return {{bytes_ + at_->name, at_->name_size}, {bytes_ + at_->value, at_->value_size}};
        }
        Iterator& operator++() noexcept {
            ++at_;
            return *this;
        }
        Iterator operator++(int) noexcept { return {bytes_, at_++}; }
        friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
            return a.at_ == b.at_;
        }

    private:
        const char* bytes_ = nullptr;
        const FieldSlice* at_ = nullptr;
    };

    // as_kept: the lines follow each other in the form in which Headers keeps them, and no name
    // occurs twice.
    enum class Form : std::uint8_t { any, as_kept };

    FieldViews() = default;
    FieldViews(const char* bytes, std::span<const FieldSlice> slices,
               Form form = Form::any) noexcept
        : bytes_(bytes), slices_(slices), form_(form) {}

    // The form, as far as it is known.
    Form form() const noexcept { return form_; }
    // The bytes that the slices are parts of.
    const char* bytes() const noexcept { return bytes_; }
    std::span<const FieldSlice> slices() const noexcept { return slices_; }
    std::size_t size() const noexcept { return slices_.size(); }
    bool empty() const noexcept { return slices_.empty(); }
    Field operator[](std::size_t index) const noexcept {
        return *Iterator(bytes_, &slices_[index]);
    }
    Iterator begin() const noexcept { return {bytes_, slices_.data()}; }
    Iterator end() const noexcept { return {bytes_, slices_.data() + slices_.size()}; }

private:
    const char* bytes_ = nullptr;
    std::span<const FieldSlice> slices_;
    Form form_ = Form::any;
};

// Limits of a field parser.
struct FieldLimits {
    std::size_t line = 0;   // bytes of one line
    std::size_t total = 0;  // bytes from the start of the buffer
    std::size_t count = 0;  // lines
};

class FieldParser {
public:
    // Stores fields in `room`, which must outlive the parser and also limits their number. Passes
    // each field to `framing`, which must outlive the parser, unless it is null.
    FieldParser(std::span<FieldSlice> room, const FieldLimits& limits, Framing* framing,
                const Scanner& scanner, Strictness strictness = Strictness::strict) noexcept;

    // Restarts with fields that begin at offset `begin`.
    void start(std::size_t begin) noexcept;

    // `given` holds all bytes received so far, from offset 0: those of the previous call, possibly
    // at another address, and more. `consumed` counts from offset 0.
    Parsed parse(std::string_view given) noexcept;

    // The fields parsed so far, as views of `bytes`, the bytes of the last call.
    FieldViews fields(const char* bytes) const noexcept { return {bytes, room_.first(count_)}; }

private:
    enum class State : std::uint8_t {
        line,
        name,
        name_gap,  // lenient: white space between name and colon
        space,
        value,
        line_feed,
        last_line_feed,
        failed,
    };

    bool strict() const noexcept { return strictness_ == Strictness::strict; }
    // False for the empty line and for a continuation line.
    bool begins_field(char first) const noexcept {
        return strict() || (first != '\n' && !is(kWhiteSpace, first));
    }
    Parsed fail(HttpErrc fault) noexcept;
    // The bytes, or the limit, end at `at`.
    Parsed out_of_bytes(State state, std::size_t at) noexcept;
    Parsed end(const char* bytes, std::size_t at, std::size_t stop) noexcept;
    Parsed bad_name(const char* bytes, std::size_t at) noexcept;
    // The next state of a lenient parser after a byte that ends no name, or failed if the byte is
    // invalid.
    State read_oddity(const char* bytes, std::size_t at) noexcept;
    bool unfold_last(const char* bytes) noexcept;
    // Stores a complete line, whose line end begins at `end`.
    HttpErrc keep(const char* bytes, std::size_t end) noexcept;
    void begin_line(std::size_t at) noexcept;

    std::span<FieldSlice> room_;
    const Scanner* scanner_;
    Framing* framing_;
    FieldLimits limits_;
    std::size_t count_ = 0;
    std::size_t line_ = 0;      // offset of the line
    std::size_t line_cap_ = 0;  // offset by which it must end
    std::size_t at_ = 0;        // the first byte not scanned yet
    std::size_t colon_ = 0;
    std::size_t value_ = 0;
    State state_ = State::line;
    Strictness strictness_;
    HttpErrc fault_ = kFine;
};

// True if the value spans several lines (obs-fold).
bool is_folded(std::string_view value) noexcept;
// Joins such a value into one line: each line end, with the white space around it, becomes a space,
// or nothing at the ends (RFC 9112 5.2). Throws std::bad_alloc.
std::string unfold(std::string_view value);

}  // namespace uaio::http
