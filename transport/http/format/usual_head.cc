#include "transport/http/format/usual_head.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace uaio::http {
namespace {

constexpr std::string_view kEndOfRequestLine = " HTTP/1.1\r\n";
constexpr std::string_view kStartOfStatusLine = "HTTP/1.1 ";
constexpr std::size_t kReason = std::string_view("HTTP/1.1 200 ").size();

// Finds bytes that are not in a class, 64 bytes at a time.
class Cursor {
public:
    Cursor(std::string_view bytes, Scanner::Classify classify) noexcept
        : bytes_(bytes), classify_(classify), begin_(bytes.size()) {}

    // The first offset from `at` whose byte is no part of a token, or the size. REQUIRES: at is not
    // below that of an earlier call.
    std::size_t end_of_token(std::size_t at) noexcept { return find<&ByteClasses::no_token>(at); }
    std::size_t end_of_value(std::size_t at) noexcept { return find<&ByteClasses::no_value>(at); }

private:
    template <std::uint64_t ByteClasses::*kClass>
    std::size_t find(std::size_t at) noexcept {
        for (;;) {
            if (at - begin_ >= kClassified) {
                if (at >= bytes_.size()) return bytes_.size();
                load(at);
            }
            const std::uint64_t found = classes_.*kClass >> (at - begin_);
            if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found));
            at = begin_ + kClassified;
        }
    }

    // Classifies the bytes from `at` on, of the last ones also some before.
    void load(std::size_t at) noexcept {
        const std::size_t size = bytes_.size();
        DCHECK(at < size);
        if (size >= kClassified) {
            begin_ = std::min(at, size - kClassified);
            return classify_(bytes_.data() + begin_, classes_);
        }
        // NUL is in no class, so a run ends at the size.
        std::array<char, kClassified> copy{};
        std::memcpy(copy.data(), bytes_.data(), size);
        begin_ = 0;
        classify_(copy.data(), classes_);
    }

    const std::string_view bytes_;
    const Scanner::Classify classify_;
    std::size_t begin_;  // offset of the classified bytes; nothing is classified at first
    ByteClasses classes_{};
};

// True if another field has this name.
bool is_repeated(const char* bytes, std::span<const FieldSlice> before,
                 std::string_view name) noexcept {
    return std::ranges::any_of(before, [=](const FieldSlice& slice) {
        return slice.name_size == name.size() &&
               same_name({bytes + slice.name, slice.name_size}, name);
    });
}

// Parses the fields from `at` on. Returns the offset behind the empty line, and sets the fields of
// `head`, or returns 0. A template so that each use has its own, which the compiler inlines.
template <class Head>
std::size_t parse_fields(std::string_view given, std::size_t at, Cursor& cursor,
                         std::span<FieldSlice> room, Framing& framing, Head& head) noexcept {
    const char* const bytes = given.data();
    const std::size_t size = given.size();
    std::uint64_t sizes = 0;  // of the names so far
    for (std::size_t index = 0;; ++index) {
        if (size - at < 2) return 0;
        if (bytes[at] == '\r') {
            head.fields = FieldViews(bytes, room.first(index), FieldViews::Form::as_kept);
            return bytes[at + 1] == '\n' ? at + 2 : 0;
        }
        const std::size_t colon = cursor.end_of_token(at);
        if (colon == at || size - colon < 3 || bytes[colon] != ':' || bytes[colon + 1] != ' ')
            return 0;
        const std::size_t value = colon + 2;
        if (is(kWhiteSpace, bytes[value]) || index == room.size()) return 0;
        const std::size_t end = cursor.end_of_value(value);
        if (size - end < 2 || bytes[end] != '\r' || bytes[end + 1] != '\n') return 0;
        if (is(kWhiteSpace, bytes[end - 1]) && end > value) return 0;
        const std::string_view name(bytes + at, colon - at);
        const std::uint64_t bit = std::uint64_t{1} << (name.size() & 63);
        if ((sizes & bit) != 0 && is_repeated(bytes, room.first(index), name)) return 0;
        sizes |= bit;
        room[index] = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(name.size()),
                       static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(end - value)};
        if (framing.take(name, {bytes + value, end - value}, static_cast<std::uint32_t>(index)) !=
            kFine) {
            return 0;
        }
        at = end + 2;
    }
}

// A head of this size is within all limits of bytes.
std::size_t size_within(const Limits& limits) noexcept {
    const std::size_t lines = std::min(limits.start_line, limits.field);
    return std::min(lines, std::min<std::size_t>(limits.head, UINT32_MAX));
}

std::span<FieldSlice> room_within(std::span<FieldSlice> room, const Limits& limits) noexcept {
    return room.first(std::min(room.size(), limits.fields));
}

}  // namespace

std::size_t parse_usual(std::string_view given, std::span<FieldSlice> room, const Limits& limits,
                        const Scanner& scanner, RequestHead& head) noexcept {
    if (!scanner.classify) return 0;
    const char* const bytes = given.data();
    const std::size_t size = std::min(given.size(), size_within(limits));
    Cursor cursor({bytes, size}, scanner.classify);
    const std::size_t method = cursor.end_of_token(0);
    if (method == 0 || size - method < 2 || bytes[method] != ' ' || bytes[method + 1] != '/')
        return 0;
    const std::size_t target = method + 1;
    const std::size_t end = scanner.target(bytes, target, size);
    if (size - end < kEndOfRequestLine.size()) return 0;
    if (std::memcmp(bytes + end, kEndOfRequestLine.data(), kEndOfRequestLine.size()) != 0) return 0;
    head.version = Version::http_1_1;
    head.method = {bytes, method};
    head.target = {bytes + target, end - target};
    if (head.method == kConnect) return 0;
    split_path(head.target, head.parts);
    Framing framing;
    const std::size_t used = parse_fields({bytes, size}, end + kEndOfRequestLine.size(), cursor,
                                          room_within(room, limits), framing, head);
    if (used == 0) return 0;
    if (framing.end_request(head.method, head.version, head.framing) != kFine) return 0;
    describe(framing, head);
    return used;
}

std::size_t parse_usual(std::string_view given, std::span<FieldSlice> room, const Limits& limits,
                        const Scanner& scanner, std::string_view method,
                        ResponseHead& head) noexcept {
    if (!scanner.classify) return 0;
    const char* const bytes = given.data();
    const std::size_t size = std::min(given.size(), size_within(limits));
    if (size < kReason + 2) return 0;
    if (std::memcmp(bytes, kStartOfStatusLine.data(), kStartOfStatusLine.size()) != 0) return 0;
    const char* const digits = bytes + kStartOfStatusLine.size();
    const bool status = is(kDigit, digits[0]) && is(kDigit, digits[1]) && is(kDigit, digits[2]);
    if (!status || digits[0] < '2' || digits[3] != ' ') return 0;
    Cursor cursor({bytes, size}, scanner.classify);
    const std::size_t end = cursor.end_of_value(kReason);
    if (size - end < 2 || bytes[end] != '\r' || bytes[end + 1] != '\n') return 0;
    head.version = Version::http_1_1;
    head.status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    head.reason = {bytes + kReason, end - kReason};
    Framing framing;
    const std::size_t used =
        parse_fields({bytes, size}, end + 2, cursor, room_within(room, limits), framing, head);
    if (used == 0) return 0;
    if (framing.end_response(method, head.version, head.status, head.framing) != kFine) return 0;
    describe(framing, head);
    return used;
}

}  // namespace uaio::http
