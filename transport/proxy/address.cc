#include <uaio/proxy.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <new>

namespace uaio {
namespace {

using http::same_name;

constexpr std::uint16_t kUsualPort = 1080;
constexpr std::uint16_t kSecurePort = 443;

bool kind_of(std::string_view scheme, ProxyKind& kind) noexcept {
    struct {
        std::string_view scheme;
        ProxyKind kind;
    } constexpr kSchemes[] = {
        {"http", ProxyKind::http},       {"https", ProxyKind::https},
        {"socks", ProxyKind::socks4},    {"socks4", ProxyKind::socks4},
        {"socks4a", ProxyKind::socks4a}, {"socks5", ProxyKind::socks5},
        {"socks5h", ProxyKind::socks5h},
    };
    for (const auto& known : kSchemes) {
        if (!same_name(known.scheme, scheme)) continue;
        kind = known.kind;
        return true;
    }
    return false;
}

bool is_socks(ProxyKind kind) noexcept {
    return kind != ProxyKind::http && kind != ProxyKind::https && kind != ProxyKind::none;
}

// "user:password", percent-encoded.
std::error_code read_credentials(std::string_view text, Proxy& proxy) {
    const std::size_t colon = text.find(':');
    const std::string_view password =
        colon == text.npos ? std::string_view() : text.substr(colon + 1);
    if (const auto error = http::percent_decode(text.substr(0, colon), proxy.user)) return error;
    if (const auto error = http::percent_decode(password, proxy.password)) return error;
    proxy.has_credentials = true;
    return {};
}

std::error_code read_host(std::string_view text, Proxy& proxy) {
    if (!http::is_host(text)) return ProxyErrc::bad_url;
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    const std::size_t colon = text.find(':', bracket);
    std::string_view host = text.substr(0, colon);
    if (bracket > 0) host = host.substr(1, host.size() - 2);
    proxy.host = host;
    const std::string_view digits =
        colon == text.npos ? std::string_view() : text.substr(colon + 1);
    proxy.port = proxy.kind == ProxyKind::https ? kSecurePort : kUsualPort;
    if (digits.empty()) return {};
    const auto port = http::parse_length(digits);
    DCHECK(port && *port <= 65535);  // by is_host()
    proxy.port = static_cast<std::uint16_t>(*port);
    return proxy.port == 0 ? make_error_code(ProxyErrc::bad_url) : std::error_code();
}

std::error_code read_proxy(std::string_view text, Proxy& proxy) {
    proxy.kind = ProxyKind::http;
    const std::size_t scheme = text.find("://");
    if (scheme != text.npos) {
        if (!kind_of(text.substr(0, scheme), proxy.kind)) return ProxyErrc::unsupported_scheme;
        text.remove_prefix(scheme + 3);
    }
    const std::size_t slash = text.find('/');
    const std::string_view path = slash == text.npos ? std::string_view() : text.substr(slash);
    text = text.substr(0, slash);
    const std::size_t at = text.rfind('@');
    if (at != text.npos) {
        const std::error_code error = read_credentials(text.substr(0, at), proxy);
        if (error) return error == Errc::invalid_argument ? ProxyErrc::bad_url : error;
        text.remove_prefix(at + 1);
    }
    if (const std::error_code error = read_host(text, proxy)) return error;
    if (!is_socks(proxy.kind) || path.size() <= 1 || !same_name(proxy.host, "localhost")) return {};
    const std::error_code error = http::percent_decode(path, proxy.path);
    return error == Errc::invalid_argument ? ProxyErrc::bad_url : error;
}

}  // namespace

std::error_code parse_proxy(std::string_view text, Proxy& out) noexcept {
    try {
        Proxy proxy;
        if (!text.empty()) {
            if (const std::error_code error = read_proxy(text, proxy)) return error;
        }
        out = std::move(proxy);
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace uaio
