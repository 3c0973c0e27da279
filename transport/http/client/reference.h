// References to resources, resolved against the URL of the request they came with (RFC 3986
// section 5). Free of I/O; any thread.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

namespace uaio::http {

// The reference resolution of RFC 3986 5.2.2, strict, with dot segments removed: puts the absolute
// URI into `out`, fragment included. `base` is an absolute URI; neither is validated beyond its
// division into parts. Bytes over 0x7f, which some servers put into Location, are percent-encoded.
// Errc::not_enough_memory; `out` is unspecified then. The views must not be parts of `out`.
std::error_code resolve_reference(std::string_view base, std::string_view reference,
                                  std::string& out) noexcept;

}  // namespace uaio::http
