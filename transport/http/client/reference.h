// Resolves references against the URL of the request (RFC 3986 section 5). No I/O; any thread.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// Resolves strictly by RFC 3986 5.2.2, removes dot segments, and stores the absolute URI, including
// the fragment, in `out`. `base` is an absolute URI; neither argument is validated beyond its
// division into parts. Percent-encodes bytes over 0x7f, which some servers put into Location.
// Errc::not_enough_memory; `out` is then unspecified. The views must not be parts of `out`.
[[nodiscard]] std::error_code resolve_reference(std::string_view base, std::string_view reference,
                                                std::string& out) noexcept;

}  // namespace uaio::http
