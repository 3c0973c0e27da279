#include <uaio/proxy.h>

#include "base/error_table.h"

namespace uaio {
namespace {

constexpr ErrorMeaning kMeanings[] = {
    {ProxyErrc::bad_url, "bad proxy URL",
     "The proxy is not written as scheme://user:password@host:port; percent-encode what stands out "
     "in user and password, and put IPv6 addresses in brackets."},
    {ProxyErrc::unsupported_scheme, "unsupported kind of proxy",
     "The scheme of the proxy is none of http, https, socks4, socks4a, socks5 and socks5h."},
    {ProxyErrc::name_not_resolved, "proxy name not resolved",
     "The name of the proxy has no address; check the spelling of the proxy's URL and of the "
     "*_proxy variables."},
    {ProxyErrc::closed_early, "proxy closed early",
     "The proxy closed the connection before the tunnel was there; it may not be a proxy of this "
     "kind, or may refuse in that way: look at its log."},
    {ProxyErrc::bad_reply, "bad reply of the proxy",
     "What came is not the answer of such a proxy; check the scheme and the port of its URL."},
    {ProxyErrc::reply_too_long, "proxy reply too long",
     "The proxy's answer has a line over 16 KiB, is over 300 KiB, or has over 5000 lines; the "
     "proxy "
     "is broken, or hostile."},
    {ProxyErrc::authentication_required, "proxy authentication required",
     "The proxy wants a user and a password, or a way to authenticate that this library does not "
     "have; put them into its URL."},
    {ProxyErrc::credentials_refused, "proxy credentials refused",
     "The proxy did not take the user and the password; check them."},
    {ProxyErrc::bad_credentials, "credentials cannot be sent",
     "The user or the password is longer than 255 bytes, or holds a byte that this kind of proxy "
     "cannot be sent (a colon in the user, a control character)."},
    {ProxyErrc::bad_field, "bad field for the proxy",
     "A field for the CONNECT request is not a name, a colon and a value, or holds a line break."},
    {ProxyErrc::name_too_long, "name too long for the proxy",
     "A SOCKS proxy takes names of at most 255 bytes."},
    {ProxyErrc::no_version_4_address, "no IPv4 address for the proxy",
     "SOCKS4 connects to IPv4 addresses only, and the target has none; use socks5."},
    {ProxyErrc::general_failure, "general failure of the proxy",
     "The SOCKS proxy failed without telling why (reply 1); look at its log."},
    {ProxyErrc::not_allowed, "not allowed by the proxy",
     "The rules of the SOCKS proxy do not allow this connection (reply 2)."},
    {ProxyErrc::network_unreachable, "network unreachable from the proxy",
     "The SOCKS proxy has no route to the network of the target (reply 3)."},
    {ProxyErrc::host_unreachable, "host unreachable from the proxy",
     "The SOCKS proxy cannot reach the target, or not resolve its name (reply 4)."},
    {ProxyErrc::connection_refused, "target refused the proxy",
     "Nothing listens at the target, as the SOCKS proxy sees it (reply 5)."},
    {ProxyErrc::ttl_expired, "TTL expired behind the proxy",
     "The target did not answer the SOCKS proxy in time (reply 6)."},
    {ProxyErrc::command_not_supported, "command not supported by the proxy",
     "The SOCKS proxy does not make connections (reply 7); it may serve another purpose."},
    {ProxyErrc::address_not_supported, "kind of address not supported by the proxy",
     "The SOCKS proxy does not know this kind of address (reply 8); try socks5 in place of "
     "socks5h, "
     "or the other way round, or another address."},
    {ProxyErrc::unknown_reply, "unknown reply of the proxy",
     "The SOCKS proxy refused with a code that the protocol does not have; look at its log."},
    {ProxyErrc::request_rejected, "request rejected by the proxy",
     "The SOCKS4 proxy rejected the request or failed (reply 91); it may not know socks4a."},
    {ProxyErrc::no_identd, "proxy found no identd",
     "The SOCKS4 proxy found no identd on this machine that would confirm the user (reply 92)."},
    {ProxyErrc::other_identd_user, "identd tells another user",
     "The identd of this machine does not confirm the user that was sent (reply 93)."},
    {ProxyErrc::other_authentication, "other authentication wanted by the proxy",
     "The proxy offers Digest only where DialOptions::proxy_authentication is basic, as it is at "
     "first, or Basic only where it is digest; set it to ProxyAuthentication::any."},
};

}  // namespace

const std::error_category& proxy_category() noexcept {
    static const StaticCategory category("proxy", kMeanings);
    return category.get();
}

std::error_code make_error_code(ProxyErrc code) noexcept {
    return {static_cast<int>(code), proxy_category()};
}

}  // namespace uaio
