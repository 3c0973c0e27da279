// Character classes of HTTP/1.1 (RFC 9110 section 5.6, RFC 9112), and scanners that find the end of
// a run. Scanners take 16 or 32 bytes at a time where the processor can; the tests compare them
// with the plain loop. Pure functions of their arguments; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace uaio::http {

// Classes of characters, bits of kCharacters.
inline constexpr std::uint8_t kToken = 1;      // tchar, RFC 9110 5.6.2
inline constexpr std::uint8_t kValue = 2;      // field-content: SP, HTAB, VCHAR, obs-text; 9110 5.5
inline constexpr std::uint8_t kTarget = 4;     // VCHAR but "#": a fragment is never sent, 9112 3.2
inline constexpr std::uint8_t kName = 8;       // reg-name but "%", RFC 3986 3.2.2
inline constexpr std::uint8_t kDigit = 16;     // 0 to 9
inline constexpr std::uint8_t kHexDigit = 32;  // of either case
inline constexpr std::uint8_t kWhiteSpace = 64;  // OWS: SP and HTAB
inline constexpr std::uint8_t kScheme = 128;     // of a URI scheme, RFC 3986 3.1

constexpr std::uint8_t classes_of(unsigned character) noexcept {
    const auto among = [character](std::string_view set) {
        return character < 0x80 && set.find(static_cast<char>(character)) != set.npos;
    };
    const unsigned lower = character | 0x20;
    const bool digit = character >= '0' && character <= '9';
    const bool letter = lower >= 'a' && lower <= 'z' && character < 0x80;
    unsigned classes = 0;
    if (digit || letter || among("!#$%&'*+-.^_`|~")) classes |= kToken;
    if (character == '\t' || (character >= ' ' && character != 0x7f)) classes |= kValue;
    if (character > ' ' && character < 0x7f && character != '#') classes |= kTarget;
    if (digit || letter || among("-._~!$&'()*+,;=")) classes |= kName;
    if (digit) classes |= kDigit | kHexDigit;
    if (lower >= 'a' && lower <= 'f' && letter) classes |= kHexDigit;
    if (character == ' ' || character == '\t') classes |= kWhiteSpace;
    if (digit || letter || among("+-.")) classes |= kScheme;
    return static_cast<std::uint8_t>(classes);
}

inline constexpr auto kCharacters = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned character = 0; character < table.size(); ++character)
        table[character] = classes_of(character);
    return table;
}();

constexpr bool is(std::uint8_t classes, char character) noexcept {
    return (kCharacters[static_cast<unsigned char>(character)] & classes) != 0;
}

inline constexpr std::string_view kLineEnd = "\r\n";

// REQUIRES: a hexadecimal digit.
constexpr unsigned hex_value(char digit) noexcept {
    return static_cast<unsigned>(is(kDigit, digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

// True if every character is in the class, and for empty text.
constexpr bool all_are(std::uint8_t classes, std::string_view text) noexcept {
    for (const char character : text) {
        if (!is(classes, character)) return false;
    }
    return true;
}

constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && all_are(kToken, text);
}

// A bit for each of 64 bytes that is not in a class; bit 0 is that of the first byte.
inline constexpr std::size_t kClassified = 64;
struct ByteClasses {
    std::uint64_t no_token = 0;
    std::uint64_t no_value = 0;
};

// Each function of a Scanner returns the first offset from `at` and below `end` whose character is
// not in its class, or `end`. It may read all bytes from `base` to `end`, also those before `at`,
// to fill a whole vector register where fewer bytes are left. REQUIRES: at <= end.
struct Scanner {
    using Scan = std::size_t (*)(const char* base, std::size_t at, std::size_t end) noexcept;
    // Sets the bits for kClassified bytes.
    using Classify = void (*)(const char* bytes, ByteClasses& classes) noexcept;
    const char* name;
    Scan token;
    Scan value;
    Scan target;
    Classify classify = nullptr;  // where it is faster than a scan for each word
};

// Scans one byte at a time.
const Scanner& plain_scanner() noexcept;
// The fastest that this processor can run.
const Scanner& best_scanner() noexcept;
// All that this processor can run, the plain one first, the best last.
std::span<const Scanner* const> usable_scanners() noexcept;

// Compares texts that are usually short and equal, without a call. Their sizes are equal.
inline bool same_bytes(const char* a, const char* b, std::size_t size) noexcept {
    constexpr std::size_t kShort = 32;
    const auto same = [&]<class Word>(std::size_t at, Word one) noexcept {
        Word other;
        std::memcpy(&one, a + at, sizeof one);
        std::memcpy(&other, b + at, sizeof other);
        return one == other;
    };
    if (size > kShort) return std::memcmp(a, b, size) == 0;
    if (size >= 8) {
        for (std::size_t at = 0; at + 8 < size; at += 8) {
            if (!same(at, std::uint64_t{})) return false;
        }
        return same(size - 8, std::uint64_t{});
    }
    if (size >= 4) return same(0, std::uint32_t{}) && same(size - 4, std::uint32_t{});
    for (std::size_t at = 0; at < size; ++at) {
        if (a[at] != b[at]) return false;
    }
    return true;
}

// same_name() for texts of one size, at least 4, several characters at a time.
bool same_long_name(const char* a, const char* b, std::size_t size) noexcept;

// Compares names of fields, hosts and codings without regard to case.
constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    if (!std::is_constant_evaluated() && a.size() >= 4) {
        return same_long_name(a.data(), b.data(), a.size());
    }
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

// True if a token is this one in either case. `wanted` is a literal of lower-case letters and
// hyphens; the bit that makes them differ from capitals makes no other token character equal.
template <std::size_t kSize>
inline bool token_is(std::string_view token, const char (&wanted)[kSize]) noexcept {
    constexpr std::size_t size = kSize - 1;
    static_assert(size >= 4);
    if (token.size() != size) return false;
    const auto same = [&]<class Word>(std::size_t at, Word one) noexcept {
        constexpr Word kLower = static_cast<Word>(0x2020202020202020);
        Word other;
        std::memcpy(&one, token.data() + at, sizeof one);
        std::memcpy(&other, wanted + at, sizeof other);
        return (one | kLower) == other;
    };
    if constexpr (size < 8) {
        return same(0, std::uint32_t{}) && same(size - 4, std::uint32_t{});
    } else {
        for (std::size_t at = 0; at + 8 < size; at += 8) {
            if (!same(at, std::uint64_t{})) return false;
        }
        return same(size - 8, std::uint64_t{});
    }
}

// Removes spaces and tabs from both ends.
constexpr std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is(kWhiteSpace, text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is(kWhiteSpace, text.back()))
        text.remove_suffix(1);
    return text;
}

// Parses a decimal number. Nothing if `text` is empty, has any character but digits, or is 2^63 or
// more, which no length can be (RFC 9110 8.6).
std::optional<std::uint64_t> parse_length(std::string_view text) noexcept;

// Moves the next element of a comma-separated list (RFC 9110 5.6.1) from the front of `list` into
// `element`, without the white space around it; it may be empty. Commas in quoted strings are not
// separators. False if nothing was left.
bool next_element(std::string_view& list, std::string_view& element) noexcept;

// True if the list contains that element, in any case.
bool has_element(std::string_view list, std::string_view wanted) noexcept;

}  // namespace uaio::http
