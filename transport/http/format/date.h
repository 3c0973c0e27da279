// HTTP dates (RFC 9110 5.6.7). Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace uaio::http {

inline constexpr std::size_t kDateSize = 29;
using DateText = std::array<char, kDateSize>;

// True if HTTP can represent this time, in seconds since 1970: its years have four digits. The
// modification time of a file can be any other (utimensat(2)).
constexpr bool has_date(std::int64_t seconds) noexcept {
    return seconds >= -62167219200 && seconds <= 253402300799;
}

// Formats a time as IMF-fixdate, the only form that may be sent: "Sun, 06 Nov 1994 08:49:37 GMT".
// REQUIRES: has_date(seconds).
DateText format_date(std::int64_t seconds) noexcept;

// Returns seconds since 1970 for any of the three forms that a recipient must accept: IMF-fixdate,
// "Sunday, 06-Nov-94 08:49:37 GMT" (RFC 850) and "Sun Nov  6 08:49:37 1994" (asctime). Returns
// nothing for any other text: a recipient ignores a condition with an invalid date (9110 13.1.3).
// `now`, in seconds since 1970, decides the century of a two-digit year: a date that would be more
// than 50 years in the future is the most recent one in the past with the same digits.
std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) noexcept;
// The same, with the current time as `now`.
std::optional<std::int64_t> parse_date(std::string_view text) noexcept;

}  // namespace uaio::http
