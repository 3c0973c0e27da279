#include "transport/socket/lookup.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

namespace uaio {
namespace {

constexpr std::size_t kNameBytes = 253;  // RFC 1035 2.3.4, as text

bool wanted(const Endpoint& endpoint, AddressFamily family) noexcept {
    if (family == AddressFamily::any) return true;
    return (endpoint.family() == AF_INET6) == (family == AddressFamily::v6);
}

bool is_loopback_name(std::string_view name) noexcept {
    constexpr std::string_view kLocalhost = "localhost";
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.size() < kLocalhost.size()) return false;
    const std::string_view rest = name.substr(0, name.size() - kLocalhost.size());
    if (!rest.empty() && !rest.ends_with('.')) return false;
    return std::ranges::equal(name.substr(rest.size()), kLocalhost,
                              [](char a, char b) { return (a | 0x20) == b; });
}

ResolveErrc error_of(int code) noexcept {
    switch (code) {
        case EAI_NONAME: return ResolveErrc::name_not_found;
        case EAI_NODATA:
        case EAI_ADDRFAMILY: return ResolveErrc::no_address;
        case EAI_AGAIN: return ResolveErrc::try_again;
        case EAI_FAIL: return ResolveErrc::server_failed;
        default: return ResolveErrc::failed;
    }
}

}  // namespace

bool is_host_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > kNameBytes) return false;
    return std::ranges::none_of(name, [](char character) {
        return static_cast<unsigned char>(character) <= ' ' || character == 0x7f;
    });
}

bool resolve_without_lookup(std::string_view name, AddressFamily family,
                            std::vector<Endpoint>& out) {
    const auto add = [&](const Endpoint& endpoint) {
        if (wanted(endpoint, family)) out.push_back(endpoint);
    };
    if (is_loopback_name(name)) {
        add(Endpoint::loopback6(0));
        add(Endpoint::loopback(0));
        return true;
    }
    Endpoint endpoint;
    if (Endpoint::parse_address(name, 0, endpoint)) return false;
    add(endpoint);
    return true;
}

std::error_code lookup_by_getaddrinfo(const std::string& name, AddressFamily family,
                                      std::vector<Endpoint>& out) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_family = family == AddressFamily::any  ? AF_UNSPEC
                      : family == AddressFamily::v4 ? AF_INET
                                                    : AF_INET6;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
    if (code == EAI_MEMORY) return Errc::not_enough_memory;
    if (code != 0) return error_of(code);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
    for (const addrinfo* at = found; at; at = at->ai_next) {
        const Endpoint endpoint = Endpoint::from(at->ai_addr, at->ai_addrlen);
        if (std::ranges::find(out, endpoint) == out.end()) out.push_back(endpoint);
    }
    return out.empty() ? make_error_code(ResolveErrc::no_address) : std::error_code();
}

}  // namespace uaio
