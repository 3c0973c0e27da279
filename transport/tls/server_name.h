// A server's name as TLS uses it: certificates must match it, and SNI carries it (RFC 6066 3, RFC
// 9525). OpenSSL accepts some malformed names: X509_check_host(3) matches one with a leading dot
// against every name below it. So names are checked before OpenSSL gets them. Pure functions. Any
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace uaio::tls {

// 253 bytes: RFC 1035 2.3.4, without the length bytes of the first label and of the root.
inline constexpr std::size_t kServerNameMax = 253;

struct ServerName {
    std::array<char, kServerNameMax + 1> text{};  // without a trailing dot, NUL-terminated
    std::size_t size = 0;                         // 0 for an address
    std::array<unsigned char, 16> address_bytes{};
    std::size_t address_size = 0;  // 4 or 16; 0 for a name

    std::string_view name() const noexcept { return {text.data(), size}; }
    std::span<const unsigned char> address() const noexcept {
        return {address_bytes.data(), address_size};
    }
};

// Accepts an IP address, with an optional zone (RFC 4007 11) or in a form of inet_aton(3), since
// getaddrinfo(3) connects to those, or a DNS name: labels of 1 to 63 letters, digits, hyphens and
// underscores, with an optional trailing dot. False for anything else, with `out` empty.
bool parse_server_name(std::string_view text, ServerName& out) noexcept;

}  // namespace uaio::tls
