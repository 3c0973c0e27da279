#include <uaio/argument_error.h>
#include <uaio/endpoint.h>
#include <uaio/error.h>

#include <arpa/inet.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace uaio {

static_assert(offsetof(sockaddr_in, sin_family) == offsetof(sockaddr_in6, sin6_family),
              "family() reads either by the same name");

Endpoint::Endpoint() noexcept : address_{} {
    std::memset(&address_, 0, sizeof address_);
    address_.v4.sin_family = AF_INET;
}

Endpoint Endpoint::any(std::uint16_t port) noexcept {
    Endpoint endpoint;
    endpoint.address_.v4.sin_port = htons(port);
    return endpoint;
}

Endpoint Endpoint::loopback(std::uint16_t port) noexcept {
    Endpoint endpoint = any(port);
    endpoint.address_.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return endpoint;
}

Endpoint Endpoint::any6(std::uint16_t port) noexcept {
    Endpoint endpoint;
    endpoint.address_.v6 = {};
    endpoint.address_.v6.sin6_family = AF_INET6;
    endpoint.address_.v6.sin6_port = htons(port);
    return endpoint;
}

Endpoint Endpoint::loopback6(std::uint16_t port) noexcept {
    Endpoint endpoint = any6(port);
    endpoint.address_.v6.sin6_addr = in6addr_loopback;
    return endpoint;
}

std::error_code Endpoint::parse(std::string_view text, Endpoint& out) noexcept {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return ArgumentErrc::invalid_endpoint;
    const std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || digits.empty() || end != digits.data() + digits.size()) {
        return ArgumentErrc::invalid_endpoint;
    }
    // Brackets separate the colons of the address from that of the port.
    if (host.find(':') != host.npos && !host.starts_with('['))
        return ArgumentErrc::invalid_endpoint;
    return parse_address(host, port, out);
}

std::error_code Endpoint::parse_address(std::string_view address, std::uint16_t port,
                                        Endpoint& out) noexcept {
    const bool bracketed = address.size() >= 2 && address.front() == '[' && address.back() == ']';
    if (bracketed) address = address.substr(1, address.size() - 2);
    char name[INET6_ADDRSTRLEN] = {};
    if (address.size() >= sizeof name) return ArgumentErrc::invalid_endpoint;
    std::memcpy(name, address.data(), address.size());
    const bool six = bracketed || address.find(':') != address.npos;
    Endpoint endpoint = six ? any6(port) : any(port);
    const bool read = six ? inet_pton(AF_INET6, name, &endpoint.address_.v6.sin6_addr) == 1
                          : inet_pton(AF_INET, name, &endpoint.address_.v4.sin_addr) == 1;
    if (!read || std::strlen(name) != address.size()) return ArgumentErrc::invalid_endpoint;
    out = endpoint;
    return {};
}

Endpoint Endpoint::from(const sockaddr* address, socklen_t size) noexcept {
    Endpoint endpoint;
    constexpr std::size_t kFamilyEnd = offsetof(sockaddr, sa_family) + sizeof(sa_family_t);
    if (!address || size < kFamilyEnd) return endpoint;
    if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
        std::memcpy(&endpoint.address_.v4, address, sizeof(sockaddr_in));
    } else if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
        std::memcpy(&endpoint.address_.v6, address, sizeof(sockaddr_in6));
    }
    return endpoint;
}

std::uint16_t Endpoint::port() const noexcept {
    return ntohs(family() == AF_INET6 ? address_.v6.sin6_port : address_.v4.sin_port);
}

Endpoint Endpoint::with_port(std::uint16_t port) const noexcept {
    Endpoint endpoint = *this;
    (family() == AF_INET6 ? endpoint.address_.v6.sin6_port : endpoint.address_.v4.sin_port) =
        htons(port);
    return endpoint;
}

socklen_t Endpoint::size() const noexcept {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

std::string Endpoint::host() const {
    char name[INET6_ADDRSTRLEN] = {};
    if (family() == AF_INET6) {
        inet_ntop(AF_INET6, &address_.v6.sin6_addr, name, sizeof name);
    } else {
        inet_ntop(AF_INET, &address_.v4.sin_addr, name, sizeof name);
    }
    return name;
}

std::string Endpoint::to_string() const {
    const std::string digits = std::to_string(port());
    return family() == AF_INET6 ? "[" + host() + "]:" + digits : host() + ":" + digits;
}

bool operator==(const Endpoint& a, const Endpoint& b) noexcept {
    if (a.family() != b.family() || a.port() != b.port()) return false;
    return a.family() == AF_INET6
               ? std::memcmp(&a.address_.v6.sin6_addr, &b.address_.v6.sin6_addr, 16) == 0
               : a.address_.v4.sin_addr.s_addr == b.address_.v4.sin_addr.s_addr;
}

}  // namespace uaio
