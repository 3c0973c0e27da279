// Reads header or trailer fields up to the empty line behind them, free of I/O, without allocating.
// Strictly, a line ends with CRLF and nothing else, and is never continued (RFC 9112 sections 2.2
// and 5). Leniently, as a client may read responses, it may end with a line feed alone, have white
// space before its colon, and be continued by lines that begin with white space, unless the field
// says where the message ends; such a value holds line ends until unfold() replaces them. A
// carriage return that no line feed follows is refused all the same. The parser can stop at any
// byte and go on there, so that bytes are looked at once however they arrive, and whatever is wrong
// is noticed at the same byte. Not thread-safe.
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

// How far a parser got.
enum class Progress {
    complete,   // all of it is there
    need_more,  // call again with more bytes
    malformed,  // it ends here; every later call says the same
};

struct Parsed {
    Progress progress = Progress::need_more;
    std::size_t consumed = 0;  // complete: bytes that belong to what was parsed
    HttpErrc fault = kFine;    // malformed: what is wrong
};

// Where a field lies. Offsets, because the bytes may move while more of them arrive.
struct FieldSlice {
    std::uint32_t name = 0;
    std::uint32_t name_size = 0;
    std::uint32_t value = 0;
    std::uint32_t value_size = 0;
};

// Fields as views of the bytes that they were parsed from, and valid as long as those.
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

    FieldViews() = default;
    FieldViews(const char* bytes, std::span<const FieldSlice> slices) noexcept
        : bytes_(bytes), slices_(slices) {}

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
};

// What a field parser may use.
struct FieldLimits {
    std::size_t line = 0;   // bytes of one line
    std::size_t total = 0;  // bytes from the beginning of the buffer on
    std::size_t count = 0;  // lines
};

class FieldParser {
public:
    // Fields are put into `room`, which must outlive the parser; it also limits their number.
    // `framing`, unless null, is told of each and must outlive the parser.
    FieldParser(std::span<FieldSlice> room, const FieldLimits& limits, Framing* framing,
                const Scanner& scanner, Strictness strictness = Strictness::strict) noexcept;

    // Begins anew, with fields that start at offset `begin`.
    void start(std::size_t begin) noexcept;

    // `given` holds all bytes so far, from offset 0 on: those of the call before, which may lie
    // elsewhere by now, and more. `consumed` counts from offset 0.
    Parsed parse(std::string_view given) noexcept;

    // What is there so far; views of `bytes`, which are those of the last call.
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
    // False for the empty line, and for one that goes on with the field before it.
    bool begins_field(char first) const noexcept {
        return strict() || (first != '\n' && !is(kWhiteSpace, first));
    }
    Parsed fail(HttpErrc fault) noexcept;
    // There are no more bytes at `at`, or no more are allowed.
    Parsed out_of_bytes(State state, std::size_t at) noexcept;
    Parsed end(const char* bytes, std::size_t at, std::size_t stop) noexcept;
    Parsed bad_name(const char* bytes, std::size_t at) noexcept;
    // What a lenient recipient makes of a byte that ends no name: the state to go on with, or
    // failed, if it makes nothing of it.
    State read_oddity(const char* bytes, std::size_t at) noexcept;
    bool unfold_last(const char* bytes) noexcept;
    // A whole line is there; what ends it begins at `end`.
    HttpErrc keep(const char* bytes, std::size_t end) noexcept;
    void begin_line(std::size_t at) noexcept;

    std::span<FieldSlice> room_;
    const Scanner* scanner_;
    Framing* framing_;
    FieldLimits limits_;
    std::size_t count_ = 0;
    std::size_t line_ = 0;      // where the line began
    std::size_t line_cap_ = 0;  // where it must have ended
    std::size_t at_ = 0;        // the first byte not looked at yet
    std::size_t colon_ = 0;
    std::size_t value_ = 0;
    State state_ = State::line;
    Strictness strictness_;
    HttpErrc fault_ = kFine;
};

// True if the value was continued over several lines.
bool is_folded(std::string_view value) noexcept;
// Such a value in one line: each line end, with the white space around it, becomes a space, or
// nothing at the ends (RFC 9112 5.2). Throws std::bad_alloc.
std::string unfold(std::string_view value);

}  // namespace uaio::http
