// Proxies: how one is named, which one the environment asks for, and what can go wrong with it. The
// way through them is Dialer's (<uaio/dialer.h>). Functions of their arguments; any thread.
#pragma once

#include <uaio/error.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio {

// What went wrong with a proxy, or what it answered. A proxy that cannot be reached at all is the
// errno of connect(2); an HTTP proxy that says no is Errc::proxy_refused.
enum class ProxyErrc {
    bad_url = 1,              // not scheme://user:password@host:port
    unsupported_scheme,       // none of those that ProxyKind names
    name_not_resolved,        // the proxy's own name has no address
    closed_early,             // it closed before the tunnel was there
    bad_reply,                // not an answer of such a proxy
    reply_too_long,           // a line over 16 KiB, 300 KiB in all, or 5000 lines
    authentication_required,  // it wants credentials, and none were given (407, or method 255)
    credentials_refused,      // it did not take those that were given (407, RFC 1929)
    bad_credentials,        // they cannot be sent: longer than 255 bytes, or with a forbidden byte
    bad_field,              // DialOptions::proxy_fields: not a name, a colon and a value
    name_too_long,          // a SOCKS proxy takes names of at most 255 bytes
    no_version_4_address,   // SOCKS4 connects to IPv4 addresses only
    general_failure,        // SOCKS5 reply 1 (RFC 1928 section 6), and so on
    not_allowed,            // 2
    network_unreachable,    // 3
    host_unreachable,       // 4
    connection_refused,     // 5
    ttl_expired,            // 6
    command_not_supported,  // 7
    address_not_supported,  // 8
    unknown_reply,          // any other
    request_rejected,       // SOCKS4 reply 91
    no_identd,              // 92: the proxy found no identd on this machine
    other_identd_user,      // 93: identd says another user
    other_authentication,   // it offers Digest or Basic, but not what ProxyAuthentication asks for
};

// The category of ProxyErrc; its name() is "proxy".
const std::error_category& proxy_category() noexcept;
std::error_code make_error_code(ProxyErrc) noexcept;

enum class ProxyKind : std::uint8_t {
    none,     // connect directly
    http,     // CONNECT (RFC 9110 9.3.6); always a tunnel, for http:// targets as well
    https,    // the same inside TLS
    socks4,   // the target's name is resolved here, to IPv4
    socks4a,  // by the proxy
    socks5,   // RFC 1928; the target's name is resolved here
    socks5h,  // by the proxy
};

struct Proxy {
    ProxyKind kind = ProxyKind::none;
    std::string host = {};  // without brackets
    std::uint16_t port = 0;
    std::string path = {};  // of a unix socket, in place of host and port
    bool has_credentials = false;
    std::string user = {};
    std::string password = {};
};

// What tells a server behind the tunnel who connects (haproxy's PROXY protocol).
enum class ProxyHeader : std::uint8_t { none, v1, v2 };

// How an HTTP proxy is told who asks. digest and any wait for the proxy's challenge; any takes the
// strongest that it offers.
enum class ProxyAuthentication : std::uint8_t {
    basic,   // at once (RFC 7617)
    digest,  // RFC 7616: MD5 and SHA-256, qop auth; needs TLS in the build for the hashes
    any,
};

// Reads a proxy as CURLOPT_PROXY does: [scheme://][user[:password]@]host[:port]. No scheme means
// http, "socks" means socks4; user and password are percent-decoded; IPv6 addresses stand in
// brackets. Ports are 1080, and 443 for https, unless given. A SOCKS proxy with the host
// "localhost" and a path is reached by that unix socket. An empty text is no proxy. Errors:
// ProxyErrc::bad_url, unsupported_scheme, not_enough_memory; `out` is untouched then.
std::error_code parse_proxy(std::string_view text, Proxy& out) noexcept;

// Looks a variable up; nullptr if it is not set. std::getenv is one.
using Environment = std::function<const char*(const char* name)>;

// Which proxy the environment names for a target of this scheme ("http", "https" and so on), as
// curl's manual page says: <scheme>_proxy, then <SCHEME>_PROXY, but never HTTP_PROXY, which a CGI
// client could set; for ws and wss what http and https have; then all_proxy and ALL_PROXY. Empty:
// none. Throws std::bad_alloc.
std::string proxy_from_environment(std::string_view scheme, const Environment& environment);
// no_proxy, else NO_PROXY. Empty: neither.
std::string no_proxy_from_environment(const Environment& environment);

// Whether `list` excepts this host from proxies (CURLOPT_NOPROXY): names, separated by commas or
// blanks, which match themselves and what ends with a dot and them; a dot before or behind a name
// is ignored, and so is the case. "*" alone excepts all hosts. An address in numbers matches the
// same address, and a prefix such as 10.0.0.0/8 or 2001:db8::/32. Ports and patterns match nothing.
bool bypasses_proxy(std::string_view list, std::string_view host) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ProxyErrc> : std::true_type {};
