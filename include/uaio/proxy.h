// Proxies: their URLs, the environment variables that name them, and their errors. Dialer
// (<uaio/dialer.h>) connects through them. The functions depend on their arguments alone; any
// thread.
#pragma once

#include <uaio/error.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio {

// Errors of a proxy, and the replies with which a SOCKS proxy refuses (RFC 1928 6). A proxy that
// cannot be reached is the errno of connect(2), one that resets the connection
// Errc::connection_reset, and an HTTP proxy that answers CONNECT with a status other than 2xx and
// 407 is Errc::proxy_refused. A dial that ends with one of these has closed its connection.
enum class ProxyErrc {
    // Not scheme://user:password@host:port, with port 0, or a bad percent-encoding; a pre-proxy in
    // front of a proxy that is a unix socket.
    bad_url = 1,
    unsupported_scheme,  // none of those that ProxyKind names; a pre-proxy that is not SOCKS
    // The name of a proxy has no address, or could not be looked up, whatever the ResolveErrc.
    name_not_resolved,
    closed_early,    // it ended the stream before the tunnel was open
    bad_reply,       // not a reply of this kind of proxy: perhaps a wrong scheme or port
    reply_too_long,  // a line over 16 KiB, 300 KiB in all, or 5000 lines
    // The proxy requires credentials, and none were given, or it supports neither Basic nor Digest
    // (407; SOCKS5 method 255, RFC 1928 3).
    authentication_required,
    // The proxy refuses the credentials (407; RFC 1929), for Digest also after a stale nonce was
    // renewed once (RFC 7616 3.3).
    credentials_refused,
    bad_credentials,        // they cannot be sent: longer than 255 bytes, or with a forbidden byte
    bad_field,              // DialOptions::proxy_fields: not a name, a colon and a value
    name_too_long,          // a SOCKS proxy takes names of at most 255 bytes (RFC 1928 5)
    no_version_4_address,   // SOCKS4 connects to IPv4 addresses only, and the target has none
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
    other_identd_user,      // 93: identd reports another user
    other_authentication,   // it offers Digest or Basic, but not the one of ProxyAuthentication
};

// The category of ProxyErrc; its name() is "proxy". Never destroyed, as error_category().
const std::error_category& proxy_category() noexcept;
// Lets a ProxyErrc convert to std::error_code and compare with one.
[[nodiscard]] std::error_code make_error_code(ProxyErrc) noexcept;

// The protocol spoken with a proxy.
enum class ProxyKind : std::uint8_t {
    none,     // connect directly
    http,     // CONNECT (RFC 9110 9.3.6); always a tunnel, for http:// targets as well
    https,    // the same inside TLS with the proxy
    socks4,   // the target's name is resolved here, to IPv4
    socks4a,  // the target's name is resolved by the proxy
    socks5,   // RFC 1928; the target's name is resolved here
    socks5h,  // RFC 1928; the target's name is resolved by the proxy
};

// A proxy, as parse_proxy() reads it.
struct Proxy {
    ProxyKind kind = ProxyKind::none;
    std::string host = {};   // a name, or an address without brackets
    std::uint16_t port = 0;  // in host byte order
    std::string path = {};   // of a unix socket, in place of host and port
    bool has_credentials = false;
    std::string user = {};      // percent-decoded; SOCKS4 sends it alone (its user id)
    std::string password = {};  // percent-decoded
};

// The header by which a server behind the tunnel learns the addresses of the connection: those of
// this machine's socket and of its peer, which is the proxy if there is one (the PROXY protocol of
// haproxy, proxy-protocol.txt). v1 is text, v2 binary. A unix socket has no addresses: "UNKNOWN" in
// v1, LOCAL in v2.
enum class ProxyHeader : std::uint8_t { none, v1, v2 };

// How credentials are sent to an HTTP proxy. digest and any wait for the proxy's challenge, which
// costs a round trip, and a second connection where the proxy closes the first one.
enum class ProxyAuthentication : std::uint8_t {
    basic,   // with the first request (RFC 7617)
    digest,  // RFC 7616: MD5 and SHA-256, qop auth; Errc::not_supported in a build without TLS
    any,     // the strongest that the proxy offers: Digest with SHA-256, with MD5, Basic
};

// Reads a proxy as CURLOPT_PROXY does: [scheme://][user[:password]@]host[:port]. No scheme means
// http, "socks" means socks4; user and password are percent-decoded; IPv6 addresses stand in
// brackets. Ports are 1080, and 443 for https, unless given. A SOCKS proxy with the host
// "localhost" and a path is reached by that unix socket; any other path is ignored. An empty text
// is no proxy. Errors: ProxyErrc::bad_url, ProxyErrc::unsupported_scheme, Errc::not_enough_memory;
// `out` is untouched then.
[[nodiscard]] std::error_code parse_proxy(std::string_view text, Proxy& out) noexcept;

// Looks a variable up; nullptr if it is not set. The text is copied before the next call.
// std::getenv is one, with its rule that no thread may call setenv(3) meanwhile.
using Environment = std::function<const char*(const char* name)>;

// Returns the proxy that the environment names for a target of this scheme ("http", "https" and so
// on), in the order of curl's manual page: <scheme>_proxy, then <SCHEME>_PROXY, but never
// HTTP_PROXY, which a CGI client could set; for ws and wss what http and https have; then all_proxy
// and ALL_PROXY. A variable without a value counts as not set. The text is for parse_proxy();
// empty: none. Throws std::bad_alloc.
std::string proxy_from_environment(std::string_view scheme, const Environment& environment);
// Returns the value of no_proxy, else of NO_PROXY, for bypasses_proxy(). Empty: neither is set.
// Throws std::bad_alloc.
std::string no_proxy_from_environment(const Environment& environment);

// True if `list` excepts this host from proxies (CURLOPT_NOPROXY): names, separated by commas or
// blanks, which match themselves and what ends with a dot and them; a dot before or behind a name
// is ignored, and so is the case. "*" alone excepts all hosts. An address in numbers matches the
// same address, and a prefix such as 10.0.0.0/8 or 2001:db8::/32. Ports and patterns match nothing.
bool bypasses_proxy(std::string_view list, std::string_view host) noexcept;

}  // namespace uaio

template <>
struct std::is_error_code_enum<uaio::ProxyErrc> : std::true_type {};
