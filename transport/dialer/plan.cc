#include "transport/dialer/plan.h"

#include <uaio/argument_error.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <chrono>
#include <cstdlib>
#include <utility>

namespace uaio {
namespace {

constexpr std::chrono::nanoseconds kRuleLife = std::chrono::seconds(60);

const char* environment(const char* name) { return std::getenv(name); }

bool is_socks(const Proxy& proxy) noexcept {
    return proxy.kind != ProxyKind::none && proxy.kind != ProxyKind::http &&
           proxy.kind != ProxyKind::https;
}

}  // namespace

DialPlan::DialPlan(std::string_view url, const DialOptions& given) : options(given) {
    std::string scheme;
    refused = read_target(url, scheme);
    if (!refused) refused = read_rules();
    if (!refused) refused = read_proxies(scheme);
    const auto or_own = [](const std::optional<tls::Context>& context) {
        return context ? *context : tls::Context();
    };
    if (secure && !options.start_tls) tls_context = or_own(options.tls_context);
    if (proxy.kind == ProxyKind::https && !options.start_proxy_tls) {
        proxy_tls_context = or_own(options.proxy_tls_context);
    }
    resolver = options.resolver;
    if (!resolver) {
        own_resolver = std::make_unique<Resolver>();
        resolver = own_resolver.get();
    }
    DCHECK(refused || pre_proxy.kind == ProxyKind::none || proxy.kind != ProxyKind::none);
}

// Parses schemes of plain streams like those of HTTP, but they have no default port.
std::error_code DialPlan::read_target(std::string_view text, std::string& scheme) {
    const std::size_t colon = text.find("://");
    scheme = colon == text.npos ? "http" : text.substr(0, colon);
    const std::string_view rest = colon == text.npos ? text : text.substr(colon + 3);
    const bool is_tcp = http::same_name(scheme, "tcp");
    const bool is_tls = http::same_name(scheme, "tls");
    const std::string read_as = is_tcp ? "http" : is_tls ? "https" : scheme;
    const std::string url = read_as + "://" + std::string(rest);
    http::Url parts;
    if (const std::error_code error = http::parse_url(url, parts)) return error;
    if (is_tcp || is_tls) {
        const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
        const std::size_t port = authority.rfind(':');
        const bool has_port = port != authority.npos && port + 1 < authority.size() &&
                              authority.find(']', port) == authority.npos;
        if (!has_port) return ArgumentErrc::invalid_url;
    }
    target = {std::string(parts.host), parts.port};
    secure = parts.secure;
    return {};
}

std::error_code DialPlan::read_rules() {
    for (const std::string& rule : options.resolve) {
        if (const std::error_code error = addresses.add(rule)) return error;
    }
    PlaceRules places;
    for (const std::string& rule : options.connect_to) {
        if (const std::error_code error = places.add(rule)) return error;
    }
    place = target;
    places.apply(place);
    const std::string& from = options.local_address;
    if (from.empty() && options.local_port == 0) return {};
    Endpoint endpoint = Endpoint::any(options.local_port);
    if (!from.empty()) {
        const auto error = Endpoint::parse_address(from, options.local_port, endpoint);
        if (error) return error;
    }
    local = endpoint;
    return {};
}

std::error_code DialPlan::read_proxies(std::string_view scheme) {
    if (!options.unix_path.empty()) return {};
    const std::string excepted =
        options.no_proxy ? *options.no_proxy : no_proxy_from_environment(&environment);
    if (bypasses_proxy(excepted, target.host)) return {};
    const std::string named =
        options.proxy ? *options.proxy : proxy_from_environment(scheme, &environment);
    if (const std::error_code error = parse_proxy(named, proxy)) return error;
    if (const std::error_code error = parse_proxy(options.pre_proxy, pre_proxy)) return error;
    if (pre_proxy.kind == ProxyKind::none) return {};
    if (!is_socks(pre_proxy)) return ProxyErrc::unsupported_scheme;
    if (proxy.kind == ProxyKind::none) proxy = std::exchange(pre_proxy, Proxy());
    // A pre-proxy cannot connect to a proxy on a unix socket.
    if (pre_proxy.kind != ProxyKind::none && !proxy.path.empty()) return ProxyErrc::bad_url;
    return {};
}

bool DialPlan::rules_are_fresh(std::int64_t now_ns) const noexcept {
    std::int64_t first = 0;
    if (first_use_ns.compare_exchange_strong(first, now_ns)) return true;
    return now_ns - first < kRuleLife.count();
}

}  // namespace uaio
