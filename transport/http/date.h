// Dates as HTTP writes them: "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate, RFC 9110 5.6.7). Pure
// functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace uaio::http {

inline constexpr std::size_t kDateSize = 29;
using DateText = std::array<char, kDateSize>;

// `seconds` since 1970, not before it and not after the year 9999.
DateText format_date(std::int64_t seconds) noexcept;

// Seconds since 1970; nothing for any other form, of which RFC 9110 knows two that nobody sends any
// more. A condition whose date is not understood is ignored (9110 13.1.3).
std::optional<std::int64_t> parse_date(std::string_view text) noexcept;

}  // namespace uaio::http
