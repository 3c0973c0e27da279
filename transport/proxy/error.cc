#include <uaio/proxy.h>

#include "base/error_table.h"

#include <cstddef>
#include <iterator>

namespace uaio {
namespace {

constexpr ErrorMeaning kProxyMeanings[] = {
    {ProxyErrc::bad_url, "bad proxy URL",
     "The URL of the proxy is malformed. It must be SCHEME://USER:PASSWORD@HOST:PORT; "
     "percent-encode special characters in user and password, and put IPv6 addresses in brackets."},
    {ProxyErrc::unsupported_scheme, "unsupported kind of proxy",
     "The scheme of the proxy must be http, https, socks4, socks4a, socks5 or socks5h."},
    {ProxyErrc::name_not_resolved, "proxy name not resolved",
     "The name of the proxy has no address; check the spelling of the proxy's URL and of the "
     "*_proxy variables."},
    {ProxyErrc::closed_early, "proxy closed early",
     "The proxy closed the connection before the tunnel was open; it may be a proxy of another "
     "kind, or refuse the connection in this way: check its log."},
    {ProxyErrc::bad_reply, "bad reply from the proxy",
     "The reply is not that of a proxy of this kind; check the scheme and the port of its URL."},
    {ProxyErrc::reply_too_long, "proxy reply too long",
     "The proxy's response has a line longer than 16 KiB, is longer than 300 KiB, or has more than "
     "5000 lines; the proxy is faulty or malicious."},
    {ProxyErrc::authentication_required, "proxy authentication required",
     "The proxy requires a user and a password, or an authentication method that this library does "
     "not support; put user and password into the proxy's URL."},
    {ProxyErrc::credentials_refused, "proxy credentials refused",
     "The proxy rejected the user and the password; check them."},
    {ProxyErrc::bad_credentials, "credentials cannot be sent",
     "The user or the password is longer than 255 bytes, or contains a byte that the proxy's "
     "protocol cannot express: a colon in the user, or a control character."},
    {ProxyErrc::bad_field, "bad field for the proxy",
     "A field for the CONNECT request must be a name, a colon and a value, without line breaks."},
    {ProxyErrc::name_too_long, "name too long for the proxy",
     "The name of the target is longer than 255 bytes, which SOCKS does not allow."},
    {ProxyErrc::no_version_4_address, "no IPv4 address for the proxy",
     "SOCKS4 connects to IPv4 addresses only, and the target has none; use socks5."},
    {ProxyErrc::general_failure, "general failure of the proxy",
     "The SOCKS proxy failed without a reason (reply 1); check its log."},
    {ProxyErrc::not_allowed, "not allowed by the proxy",
     "The rules of the SOCKS proxy do not allow this connection (reply 2)."},
    {ProxyErrc::network_unreachable, "network unreachable from the proxy",
     "The SOCKS proxy has no route to the network of the target (reply 3)."},
    {ProxyErrc::host_unreachable, "host unreachable from the proxy",
     "The SOCKS proxy cannot reach the target or resolve its name (reply 4)."},
    {ProxyErrc::connection_refused, "target refused the proxy",
     "The target refused the connection of the SOCKS proxy (reply 5)."},
    {ProxyErrc::ttl_expired, "TTL expired behind the proxy",
     "The target did not answer the SOCKS proxy in time (reply 6)."},
    {ProxyErrc::command_not_supported, "command not supported by the proxy",
     "The SOCKS proxy does not support CONNECT (reply 7)."},
    {ProxyErrc::address_not_supported, "kind of address not supported by the proxy",
     "The SOCKS proxy does not support this type of address (reply 8); use socks5 instead of "
     "socks5h or the reverse, or another address."},
    {ProxyErrc::unknown_reply, "unknown reply of the proxy",
     "The SOCKS proxy refused with an unknown reply code; check its log."},
    {ProxyErrc::request_rejected, "request rejected by the proxy",
     "The SOCKS4 proxy rejected the request or failed (reply 91); it may not support socks4a."},
    {ProxyErrc::no_identd, "proxy found no identd",
     "The SOCKS4 proxy could not connect to identd on this machine to confirm the user (reply "
     "92)."},
    {ProxyErrc::other_identd_user, "identd reports another user",
     "The identd of this machine does not confirm the user that was sent (reply 93)."},
    {ProxyErrc::other_authentication, "proxy requires other authentication",
     "The proxy offers only Digest and DialOptions::proxy_authentication is basic (the default), "
     "or only Basic and it is digest; set it to ProxyAuthentication::any."},
};
static_assert(std::size(kProxyMeanings) ==
              static_cast<std::size_t>(ProxyErrc::other_authentication));

}  // namespace

const std::error_category& proxy_category() noexcept {
    static const StaticCategory category("proxy", kProxyMeanings);
    return category.get();
}

std::error_code make_error_code(ProxyErrc code) noexcept {
    return {static_cast<int>(code), proxy_category()};
}

}  // namespace uaio
