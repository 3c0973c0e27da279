#include "transport/http/format/head_parser.h"

#include "base/check.h"

#include <algorithm>
#include <cstring>

namespace uaio::http {
namespace {

// Matches any digit in a pattern.
constexpr char kAnyDigit = '#';
constexpr std::string_view kEndOfRequestLine = "HTTP/#.#\r\n";
constexpr std::string_view kStartOfStatusLine = "HTTP/#.# ### ";
constexpr std::size_t kMajor = 5;  // offsets of the digits in both
constexpr std::size_t kMinor = 7;
constexpr std::size_t kStatus = 9;
constexpr std::size_t kVersionSize = 8;
static_assert(kEndOfRequestLine[kMajor] == kAnyDigit && kEndOfRequestLine[kMinor] == kAnyDigit);
static_assert(kStartOfStatusLine.starts_with(kEndOfRequestLine.substr(0, kVersionSize)));
static_assert(kStartOfStatusLine.substr(kStatus) == "### ");

// The usual end of a request line, matched with two comparisons.
constexpr std::string_view kUsualEnd = "HTTP/1.1\r\n";
static_assert(kUsualEnd.size() == kEndOfRequestLine.size());

// The number of leading bytes that match the pattern.
std::size_t matching(std::string_view pattern, const char* bytes, std::size_t size) noexcept {
    std::size_t at = 0;
    const std::size_t end = std::min(pattern.size(), size);
    while (at < end &&
           (pattern[at] == kAnyDigit ? is(kDigit, bytes[at]) : pattern[at] == bytes[at]))
        ++at;
    return at;
}

constexpr Version version_of(char minor) noexcept {
    return minor == '0' ? Version::http_1_0 : Version::http_1_1;
}

// The error for a word of the request line that is empty or followed by `byte`.
HttpErrc fault_of_word(char byte, bool empty, HttpErrc otherwise) noexcept {
    if (byte == '\n') return HttpErrc::bare_line_feed;
    return empty || byte == '\r' ? HttpErrc::bad_start_line : otherwise;
}

// The error for a mismatch at offset `at` of the version and line end.
HttpErrc fault_of_version(std::size_t at, char byte) noexcept {
    if (byte == '\n') return HttpErrc::bare_line_feed;
    if (at == kEndOfRequestLine.size() - 1) return HttpErrc::bare_carriage_return;
    return at == 0 && byte != 'h' ? HttpErrc::bad_start_line : HttpErrc::bad_version;
}

// The error for a mismatch at offset `at` of the status line.
HttpErrc fault_of_status_line(std::size_t at, char byte) noexcept {
    if (byte == '\n') return HttpErrc::bare_line_feed;
    if (at < kMajor) return HttpErrc::bad_start_line;
    return at < kVersionSize ? HttpErrc::bad_version : HttpErrc::bad_status;
}

// Offsets have 32 bits, and adding a limit to one must not overflow.
std::size_t start_line_limit(const Limits& limits) noexcept {
    return std::min<std::size_t>({limits.start_line, limits.head, UINT32_MAX});
}

FieldLimits field_limits(const Limits& limits) noexcept {
    return {limits.field, limits.head, limits.fields};
}

}  // namespace

// ---- requests

RequestParser::RequestParser(std::span<FieldSlice> room, const Limits& limits,
                             const Scanner& scanner) noexcept
    : scanner_(&scanner),
      fields_(room, field_limits(limits), &framing_, scanner),
      limit_(start_line_limit(limits)) {}

void RequestParser::reset() noexcept {
    framing_.reset();
    line_ = 0;
    at_ = 0;
    state_ = State::empty_line;
    fault_ = kFine;
}

Parsed RequestParser::fail(HttpErrc fault) noexcept {
    DCHECK(fault != kFine && state_ != State::failed);
    state_ = State::failed;
    fault_ = fault;
    return {Progress::malformed, 0, fault};
}

// A line that fills its limit without a line end is too long.
Parsed RequestParser::out_of_bytes(State state, std::size_t at) noexcept {
    DCHECK(state_ <= state && at_ <= at && line_ <= at);
    if (at >= line_ + limit_) return fail(HttpErrc::start_line_too_long);
    state_ = state;
    at_ = at;
    return {};
}

Parsed RequestParser::parse(std::string_view bytes) noexcept {
    if (state_ == State::failed) return {Progress::malformed, 0, fault_};
    if (state_ != State::fields) {
        const Parsed line = parse_line(bytes);
        if (line.progress != Progress::complete) return line;
    }
    return parse_fields(bytes);
}

Parsed RequestParser::parse_line(std::string_view given) noexcept {
    DCHECK(at_ <= given.size());
    const char* const bytes = given.data();
    std::size_t at = at_;
    std::size_t stop = std::min(given.size(), line_ + limit_);
    switch (state_) {
        case State::empty_line:
            if (at == stop) return out_of_bytes(State::empty_line, at);
            if (bytes[at] != '\r') {
                state_ = State::method;
                break;
            }
            ++at;
            [[fallthrough]];
        case State::empty_line_feed:
            if (at == stop) return out_of_bytes(State::empty_line_feed, at);
            if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
            line_ = ++at;
            stop = std::min(given.size(), line_ + limit_);
            state_ = State::method;
            break;
        default: break;
    }
    if (state_ == State::method) {
        at = scanner_->token(bytes, at, stop);
        if (at == stop) return out_of_bytes(State::method, at);
        if (bytes[at] != ' ' || at == line_) {
            return fail(fault_of_word(bytes[at], at == line_, HttpErrc::bad_method));
        }
        target_ = ++at;
        state_ = State::target;
    }
    if (state_ == State::target) {
        at = scanner_->target(bytes, at, stop);
        if (at == stop) return out_of_bytes(State::target, at);
        if (bytes[at] != ' ' || at == target_) {
            return fail(fault_of_word(bytes[at], at == target_, HttpErrc::bad_target));
        }
        target_end_ = at++;
    }
    return end_line(given.substr(0, stop), at);
}

// Parses the version and the line end, which begin at `at`.
Parsed RequestParser::end_line(std::string_view bytes, std::size_t at) noexcept {
    DCHECK(line_ + 1 < target_ && target_ < target_end_ && target_end_ < at);
    DCHECK(at <= bytes.size());
    const char* const version = bytes.data() + at;
    const std::size_t size = bytes.size() - at;
    const bool usual =
        size >= kUsualEnd.size() && std::memcmp(version, kUsualEnd.data(), kUsualEnd.size()) == 0;
    const std::size_t fits = usual ? kUsualEnd.size() : matching(kEndOfRequestLine, version, size);
    if (fits < kEndOfRequestLine.size()) {
        if (fits < size) return fail(fault_of_version(fits, version[fits]));
        if (at + fits >= line_ + limit_) return fail(HttpErrc::start_line_too_long);
        return out_of_bytes(State::version, at);
    }
    if (version[kMajor] != '1') return fail(HttpErrc::unsupported_version);
    head_.version = version_of(version[kMinor]);
    head_.method = bytes.substr(line_, target_ - 1 - line_);
    head_.target = bytes.substr(target_, target_end_ - target_);
    if (!split_visible_target(head_.method, head_.target, head_.parts))
        return fail(HttpErrc::bad_target);
    fields_.start(at + fits);
    state_ = State::fields;
    return {Progress::complete, 0, kFine};
}

Parsed RequestParser::parse_fields(std::string_view bytes) noexcept {
    const Parsed parsed = fields_.parse(bytes);
    if (parsed.progress == Progress::malformed) return fail(parsed.fault);
    if (parsed.progress == Progress::need_more) return parsed;
    if (const HttpErrc fault = finish(bytes.data()); fault != kFine) return fail(fault);
    return parsed;
}

HttpErrc RequestParser::finish(const char* bytes) noexcept {
    if (bytes + line_ != head_.method.data()) {  // the buffer has moved since the first line
        head_.method = {bytes + line_, target_ - 1 - line_};
        head_.target = {bytes + target_, target_end_ - target_};
        [[maybe_unused]] const bool valid =
            split_visible_target(head_.method, head_.target, head_.parts);
        DCHECK(valid);  // as it was before they moved
    }
    head_.fields = fields_.fields(bytes);
    const HttpErrc fault = framing_.end_request(head_.method, head_.version, head_.framing);
    if (fault != kFine) return fault;
    describe(framing_, head_);
    return kFine;
}

// ---- responses

ResponseParser::ResponseParser(std::span<FieldSlice> room, const Limits& limits,
                               const Scanner& scanner, Strictness strictness) noexcept
    : scanner_(&scanner),
      fields_(room, field_limits(limits), &framing_, scanner, strictness),
      limit_(start_line_limit(limits)),
      strictness_(strictness) {
    framing_.reset(strictness);
}

void ResponseParser::reset(std::string_view method) noexcept {
    framing_.reset(strictness_);
    method_ = method;
    at_ = 0;
    state_ = State::start;
    fault_ = kFine;
}

Parsed ResponseParser::fail(HttpErrc fault) noexcept {
    DCHECK(fault != kFine && state_ != State::failed);
    state_ = State::failed;
    fault_ = fault;
    return {Progress::malformed, 0, fault};
}

Parsed ResponseParser::out_of_bytes(State state, std::size_t at) noexcept {
    DCHECK(state_ <= state && at_ <= at);
    if (at >= limit_) return fail(HttpErrc::start_line_too_long);
    state_ = state;
    at_ = at;
    return {};
}

Parsed ResponseParser::parse(std::string_view bytes) noexcept {
    if (state_ == State::failed) return {Progress::malformed, 0, fault_};
    if (state_ != State::fields) {
        const Parsed line = parse_line(bytes);
        if (line.progress != Progress::complete) return line;
    }
    return parse_fields(bytes);
}

// Parses version and status. When complete, the reason begins at reason_.
Parsed ResponseParser::parse_start(const char* bytes, std::size_t stop) noexcept {
    constexpr std::size_t kSpace = kStartOfStatusLine.size() - 1;
    const std::size_t fits = matching(kStartOfStatusLine, bytes, stop);
    reason_ = kStartOfStatusLine.size();
    if (fits < kStartOfStatusLine.size()) {
        if (fits == stop) {
            if (fits >= limit_) return fail(HttpErrc::start_line_too_long);
            return out_of_bytes(State::start, 0);
        }
        const bool ends = bytes[fits] == '\r' || bytes[fits] == '\n';
        if (fits < kSpace || !ends || strictness_ == Strictness::strict) {
            return fail(fault_of_status_line(fits, bytes[fits]));
        }
        reason_ = kSpace;
    }
    if (bytes[kMajor] != '1') return fail(HttpErrc::unsupported_version);
    head_.version = version_of(bytes[kMinor]);
    head_.status =
        (bytes[kStatus] - '0') * 100 + (bytes[kStatus + 1] - '0') * 10 + (bytes[kStatus + 2] - '0');
    if (head_.status < 100) return fail(HttpErrc::bad_status);
    return {Progress::complete, 0, kFine};
}

Parsed ResponseParser::parse_line(std::string_view given) noexcept {
    DCHECK(at_ <= given.size());
    const char* const bytes = given.data();
    const std::size_t stop = std::min(given.size(), limit_);
    std::size_t at = at_;
    if (state_ == State::start) {
        const Parsed start = parse_start(bytes, stop);
        if (start.progress != Progress::complete) return start;
        at = reason_;
        state_ = State::reason;
    }
    bool alone = false;  // a bare line feed
    if (state_ == State::reason) {
        at = scanner_->value(bytes, at, stop);
        if (at == stop) return out_of_bytes(State::reason, at);
        reason_end_ = at;
        alone = bytes[at] == '\n';
        if (alone && strictness_ == Strictness::strict) return fail(HttpErrc::bare_line_feed);
        if (!alone && bytes[at] != '\r') return fail(HttpErrc::bad_reason);
        if (!alone) ++at;
    }
    if (at == stop) return out_of_bytes(State::line_feed, at);
    if (bytes[at] != '\n') return fail(HttpErrc::bare_carriage_return);
    at_ = at + 1;
    DCHECK(reason_ <= reason_end_ && reason_end_ < at_);
    fields_.start(at_);
    state_ = State::fields;
    return {Progress::complete, 0, kFine};
}

Parsed ResponseParser::parse_fields(std::string_view bytes) noexcept {
    const Parsed parsed = fields_.parse(bytes);
    if (parsed.progress == Progress::malformed) return fail(parsed.fault);
    if (parsed.progress == Progress::need_more) return parsed;
    const HttpErrc fault =
        framing_.end_response(method_, head_.version, head_.status, head_.framing);
    if (fault != kFine) return fail(fault);
    head_.reason = bytes.substr(reason_, reason_end_ - reason_);
    head_.fields = fields_.fields(bytes.data());
    describe(framing_, head_);
    return parsed;
}

}  // namespace uaio::http
