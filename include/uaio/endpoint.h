// An Endpoint is an IPv4 or IPv6 address in numbers and a port, for bind(2) and connect(2). For
// names use a Resolver or a Dialer. A value of 28 bytes; any thread, as an int is.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace uaio {

class Endpoint {
public:
    // 0.0.0.0:0, which names no peer.
    Endpoint() noexcept;

    // Ports are in host byte order everywhere in this class. Port 0 lets the kernel choose one when
    // a socket is bound (ip(7), ip_local_port_range).
    static Endpoint loopback(std::uint16_t port) noexcept;   // 127.0.0.1
    static Endpoint loopback6(std::uint16_t port) noexcept;  // [::1]
    // Every IPv4 address of the machine: 0.0.0.0.
    static Endpoint any(std::uint16_t port) noexcept;
    // Every address: [::]. A listener on it accepts IPv4 connections as well, whose peers then have
    // IPv4-mapped addresses, unless net.ipv6.bindv6only is set (ipv6(7), IPV6_V6ONLY).
    static Endpoint any6(std::uint16_t port) noexcept;

    // Reads "192.0.2.1:80" or "[2001:db8::1]:80" (RFC 3986 section 3.2 notation) into `out`. The
    // address has the form of inet_pton(3), the port is decimal digits, 0 to 65535, and is
    // required. Names, zones ("%eth0") and IPv6 addresses without brackets are refused:
    // ArgumentErrc::invalid_endpoint, and `out` is untouched.
    [[nodiscard]] static std::error_code parse(std::string_view text, Endpoint& out) noexcept;

    // Reads an address without a port, "192.0.2.1", "2001:db8::1" or "[2001:db8::1]", and gives it
    // `port`. ArgumentErrc::invalid_endpoint if it is anything else, and `out` is untouched.
    [[nodiscard]] static std::error_code parse_address(std::string_view address, std::uint16_t port,
                                                       Endpoint& out) noexcept;

    // Copies a sockaddr_in or sockaddr_in6, as getpeername(2) and accept(2) return it. Another
    // family, or a `size` too small for the family, gives the default Endpoint.
    static Endpoint from(const sockaddr* address, socklen_t size) noexcept;

    std::uint16_t port() const noexcept;
    // The same address with another port.
    Endpoint with_port(std::uint16_t port) const noexcept;
    // The address in the form of inet_ntop(3), without port, brackets and zone: "2001:db8::1".
    // Throws std::bad_alloc.
    std::string host() const;
    int family() const noexcept { return address_.v4.sin_family; }  // AF_INET or AF_INET6
    // "192.0.2.1:80" or "[2001:db8::1]:80", which parse() reads back. Throws std::bad_alloc.
    std::string to_string() const;

    // For bind(2) and connect(2): a sockaddr_in or sockaddr_in6 of size() bytes, in network byte
    // order, valid as long as this object.
    const sockaddr* address() const noexcept { return &address_.any; }
    socklen_t size() const noexcept;

    // Compares family, address and port. The scope and the flow label that from() may have copied
    // do not count, and an IPv4-mapped address differs from its IPv4 address.
    friend bool operator==(const Endpoint& a, const Endpoint& b) noexcept;

private:
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    } address_;
};

}  // namespace uaio
