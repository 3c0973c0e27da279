#include "transport/http/format/field_parser.h"

#include "base/check.h"

#include <algorithm>

namespace uaio::http {
namespace {

HttpErrc fault_of_value(char byte) noexcept {
    return byte == '\n' ? HttpErrc::bare_line_feed : HttpErrc::bad_field_value;
}

}  // namespace

FieldParser::FieldParser(std::span<FieldSlice> room, const FieldLimits& limits, Framing* framing,
                         const Scanner& scanner, Strictness strictness) noexcept
    : room_(room.first(std::min(room.size(), limits.count))),
      scanner_(&scanner),
      framing_(framing),
      limits_(limits),
      strictness_(strictness) {
    // Slices have 32-bit offsets, and adding a limit to an offset must not overflow.
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
    // Behind an empty line, a request line within its limit may end past that of the head.
    line_cap_ = std::max(line_cap_, begin);
}

void FieldParser::begin_line(std::size_t at) noexcept {
    line_ = at;
    line_cap_ = std::min(at + limits_.line, limits_.total);
}

Parsed FieldParser::fail(HttpErrc fault) noexcept {
    DCHECK(fault != kFine && state_ != State::failed);
    state_ = State::failed;
    fault_ = fault;
    return {Progress::malformed, 0, fault};
}

Parsed FieldParser::out_of_bytes(State state, std::size_t at) noexcept {
    DCHECK(at_ <= at && at <= line_cap_);
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

// A line that begins with white space continues the previous field; a line feed ends the section.
FieldParser::State FieldParser::read_oddity(const char* bytes, std::size_t at) noexcept {
    if (strict()) return State::failed;
    const bool space = is(kWhiteSpace, bytes[at]);
    if (at > line_) {
        colon_ = at;
        return space ? State::name_gap : State::failed;
    }
    if (bytes[at] == '\n') return State::last_line_feed;
    return space && unfold_last(bytes) ? State::value : State::failed;
}

// Reopens the last field for a continuation line. Refuses a field that determines the framing: an
// attacker may fold it to hide a line from other recipients.
bool FieldParser::unfold_last(const char* bytes) noexcept {
    if (count_ == 0) return false;
    const FieldSlice& last = room_[count_ - 1];
    DCHECK(last.value + last.value_size < line_);
    if (framing_ != nullptr && Framing::knows({bytes + last.name, last.name_size})) return false;
    --count_;
    begin_line(last.name);
    colon_ = last.name + last.name_size;
    value_ = last.value;
    return true;
}

inline HttpErrc FieldParser::keep(const char* bytes, std::size_t end) noexcept {
    DCHECK(line_ < colon_ && colon_ < value_ && value_ <= end && end < line_cap_);
    DCHECK(count_ < room_.size());
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

// Expects the line feed of the empty line.
Parsed FieldParser::end(const char* bytes, std::size_t at, std::size_t stop) noexcept {
    if (at == stop) return out_of_bytes(State::last_line_feed, at);
    if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
    return {Progress::complete, at + 1, kFine};
}

// The states follow the order of a line. Each reads only below `stop`, and is saved when the bytes
// run out, so the outcome depends on the bytes and not on how they were split.
Parsed FieldParser::parse(std::string_view given) noexcept {
    DCHECK(at_ <= given.size() || state_ == State::failed);
    const char* const bytes = given.data();
    std::size_t at = at_;
    for (State state = state_;;) {
        const std::size_t stop = std::min(given.size(), line_cap_);
        DCHECK(at <= stop || state == State::failed);
        switch (state) {
            case State::line:
                if (at == stop) return out_of_bytes(State::line, at);
                if (bytes[at] == '\r') return end(bytes, at + 1, stop);
                if (count_ == room_.size() && begins_field(bytes[at])) {
                    return fail(HttpErrc::too_many_fields);
                }
                [[fallthrough]];
            case State::name:
                at = scanner_->token(bytes, at, stop);
                if (at == stop) return out_of_bytes(State::name, at);
                if (bytes[at] != ':' || at == line_) [[unlikely]] {
                    state = read_oddity(bytes, at);
                    if (state == State::failed) return bad_name(bytes, at);
                    break;
                }
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
                if (bytes[at] != '\r') [[unlikely]] {
                    if (bytes[at] != '\n' || strict()) return fail(fault_of_value(bytes[at]));
                    if (const auto fault = keep(bytes, at); fault != kFine) return fail(fault);
                    begin_line(++at);
                    state = State::line;
                    break;
                }
                ++at;
                [[fallthrough]];
            case State::line_feed:
                if (at == stop) return out_of_bytes(State::line_feed, at);
                if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
                if (const auto fault = keep(bytes, at - 1); fault != kFine) return fail(fault);
                begin_line(++at);
                state = State::line;
                break;
            case State::name_gap:
                while (at < stop && is(kWhiteSpace, bytes[at]))
                    ++at;
                if (at == stop) return out_of_bytes(State::name_gap, at);
                if (bytes[at] != ':') return bad_name(bytes, at);
                ++at;
                state = State::space;
                break;
            case State::last_line_feed: return end(bytes, at, stop);
            case State::failed: return {Progress::malformed, 0, fault_};
        }
    }
}

bool is_folded(std::string_view value) noexcept { return value.find('\n') != value.npos; }

std::string unfold(std::string_view value) {
    std::string out;
    out.reserve(value.size());
    while (!value.empty()) {
        const std::size_t end = std::min(value.find('\n'), value.size());
        std::string_view line = value.substr(0, end);
        value.remove_prefix(std::min(end + 1, value.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        line = trimmed(line);
        if (line.empty()) continue;
        if (!out.empty()) out += ' ';
        out += line;
    }
    return out;
}

}  // namespace uaio::http
