#include "transport/http/field_parser.h"

#include <algorithm>

namespace uaio::http {
namespace {

HttpErrc fault_of_value(char byte) noexcept {
    return byte == '\n' ? HttpErrc::bare_line_feed : HttpErrc::bad_field_value;
}

}  // namespace

FieldParser::FieldParser(std::span<FieldSlice> room, const FieldLimits& limits, Framing* framing,
                         const Scanner& scanner) noexcept
    : room_(room.first(std::min(room.size(), limits.count))),
      scanner_(&scanner),
      framing_(framing),
      limits_(limits) {
    // Slices are of 32 bits, and a limit must not overflow when it is added to an offset.
    limits_.line = std::min<std::size_t>(limits_.line, UINT32_MAX);
    limits_.total = std::min<std::size_t>(limits_.total, UINT32_MAX);
    start(0);
}

void FieldParser::start(std::size_t begin) noexcept {
    count_ = 0;
    fault_ = kFine;
    state_ = State::line;
    at_ = begin;
    begin_line(begin);
}

void FieldParser::begin_line(std::size_t at) noexcept {
    line_ = at;
    line_cap_ = std::min(at + limits_.line, limits_.total);
}

Parsed FieldParser::fail(HttpErrc fault) noexcept {
    state_ = State::failed;
    fault_ = fault;
    return {Progress::malformed, 0, fault};
}

Parsed FieldParser::out_of_bytes(State state, std::size_t at) noexcept {
    if (at == line_cap_) {
        const bool line = line_cap_ - line_ == limits_.line;
        return fail(line ? HttpErrc::field_too_long : HttpErrc::head_too_long);
    }
    state_ = state;
    at_ = at;
    return {};
}

Parsed FieldParser::bad_name(const char* bytes, std::size_t at) noexcept {
    if (bytes[at] == '\n') return fail(HttpErrc::bare_line_feed);
    if (at == line_ && is(kWhiteSpace, bytes[at])) return fail(HttpErrc::folded_field);
    return fail(HttpErrc::bad_field_name);
}

inline HttpErrc FieldParser::keep(const char* bytes, std::size_t at) noexcept {
    std::size_t end = at - 1;
    while (end > value_ && is(kWhiteSpace, bytes[end - 1]))
        --end;
    FieldSlice& slice = room_[count_];
    slice = {static_cast<std::uint32_t>(line_), static_cast<std::uint32_t>(colon_ - line_),
             static_cast<std::uint32_t>(value_), static_cast<std::uint32_t>(end - value_)};
    const auto index = static_cast<std::uint32_t>(count_++);
    if (framing_ == nullptr) return kFine;
    return framing_->take({bytes + slice.name, slice.name_size},
                          {bytes + slice.value, slice.value_size}, index);
}

// At the line feed of the empty line.
Parsed FieldParser::end(const char* bytes, std::size_t at, std::size_t stop) noexcept {
    if (at == stop) return out_of_bytes(State::last_line_feed, at);
    if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
    return {Progress::complete, at + 1, kFine};
}

// The states follow each other in the order of a line. Each looks at bytes below `stop` only, and
// where there are none left, remembers itself: so the outcome depends on the bytes and not on how
// they were cut.
Parsed FieldParser::parse(std::string_view given) noexcept {
    const char* const bytes = given.data();
    std::size_t at = at_;
    for (State state = state_;; state = State::line) {
        const std::size_t stop = std::min(given.size(), line_cap_);
        switch (state) {
            case State::line:
                if (at == stop) return out_of_bytes(State::line, at);
                if (bytes[at] == '\r') return end(bytes, at + 1, stop);
                if (count_ == room_.size()) return fail(HttpErrc::too_many_fields);
                [[fallthrough]];
            case State::name:
                at = scanner_->token(bytes, at, stop);
                if (at == stop) return out_of_bytes(State::name, at);
                if (bytes[at] != ':' || at == line_) return bad_name(bytes, at);
                colon_ = at++;
                [[fallthrough]];
            case State::space:
                if (at < stop && bytes[at] == ' ') ++at;  // nearly always the only one
                while (at < stop && is(kWhiteSpace, bytes[at]))
                    ++at;
                if (at == stop) return out_of_bytes(State::space, at);
                value_ = at;
                [[fallthrough]];
            case State::value:
                at = scanner_->value(bytes, at, stop);
                if (at == stop) return out_of_bytes(State::value, at);
                if (bytes[at] != '\r') return fail(fault_of_value(bytes[at]));
                ++at;
                [[fallthrough]];
            case State::line_feed:
                if (at == stop) return out_of_bytes(State::line_feed, at);
                if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
                if (const HttpErrc fault = keep(bytes, at); fault != kFine) return fail(fault);
                begin_line(++at);
                break;
            case State::last_line_feed: return end(bytes, at, stop);
            case State::failed: return {Progress::malformed, 0, fault_};
        }
    }
}

}  // namespace uaio::http
