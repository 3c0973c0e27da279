// Dates as HTTP writes and reads them (RFC 9110 5.6.7). Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace uaio::http {

inline constexpr std::size_t kDateSize = 29;
using DateText = std::array<char, kDateSize>;

// True if HTTP can write this moment, in seconds since 1970: it has years of four digits. A file
// may have been changed at any other (utimensat(2)).
constexpr bool has_date(std::int64_t seconds) noexcept {
    return seconds >= -62167219200 && seconds <= 253402300799;
}

// IMF-fixdate, the only form that may be sent: "Sun, 06 Nov 1994 08:49:37 GMT". REQUIRES:
// has_date(seconds).
DateText format_date(std::int64_t seconds) noexcept;

// Seconds since 1970, from any of the three forms that a recipient must accept: IMF-fixdate,
// "Sunday, 06-Nov-94 08:49:37 GMT" (RFC 850) and "Sun Nov  6 08:49:37 1994" (asctime). Nothing for
// any other text: a condition whose date is not understood is ignored (9110 13.1.3). `now`, in
// seconds since 1970, decides the century of a year with two digits: a date that would be more than
// 50 years in the future is the most recent one in the past with the same digits.
std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now) noexcept;
// The same, with the time of day as `now`.
std::optional<std::int64_t> parse_date(std::string_view text) noexcept;

}  // namespace uaio::http
