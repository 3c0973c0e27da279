// The name of a server as TLS uses it: what a certificate has to be for, and what SNI carries (RFC
// 6066 3, RFC 9525). OpenSSL reads some malformed names in ways of its own: for X509_check_host(3)
// one that begins with a dot stands for every name below it. So names are checked before OpenSSL
// has them. Pure functions. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace uaio::tls {

// 253 bytes: RFC 1035 2.3.4, without the length bytes of the first label and of the root.
inline constexpr std::size_t kServerNameMax = 253;

struct ServerName {
    std::array<char, kServerNameMax + 1> text{};  // without a dot at its end, and terminated
    std::size_t size = 0;                         // 0 for an address
    std::array<unsigned char, 16> address_bytes{};
    std::size_t address_size = 0;  // 4 or 16; 0 for a name

    std::string_view name() const noexcept { return {text.data(), size}; }
    std::span<const unsigned char> address() const noexcept {
        return {address_bytes.data(), address_size};
    }
};

// Takes an IP address, which may have a zone (RFC 4007 11) or be one of inet_aton(3), since
// getaddrinfo(3) connects to those, or a DNS name: labels of 1 to 63 letters, digits, hyphens and
// underscores, and perhaps a dot at the end. False for everything else, and `out` is empty then.
bool parse_server_name(std::string_view text, ServerName& out) noexcept;

}  // namespace uaio::tls
