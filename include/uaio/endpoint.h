// An Endpoint is a numeric IP address and a port, version 4 or 6. Names are for a resolver. A value
// type; any thread.
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

    static Endpoint loopback(std::uint16_t port) noexcept;   // 127.0.0.1
    static Endpoint loopback6(std::uint16_t port) noexcept;  // [::1]
    static Endpoint any(std::uint16_t port) noexcept;        // 0.0.0.0: every address, version 4
    static Endpoint any6(std::uint16_t port) noexcept;       // [::]

    // Reads "192.0.2.1:80" or "[2001:db8::1]:80" (RFC 3986 section 3.2 notation) into `out`.
    // ArgumentErrc::invalid_endpoint if it is anything else, and `out` is untouched.
    static std::error_code parse(std::string_view text, Endpoint& out) noexcept;

    // Reads a numeric address without a port, "192.0.2.1", "2001:db8::1" or "[2001:db8::1]".
    // ArgumentErrc::invalid_endpoint if it is anything else, and `out` is untouched.
    static std::error_code parse_address(std::string_view address, std::uint16_t port,
                                         Endpoint& out) noexcept;

    // From the kernel's form; what is neither AF_INET nor AF_INET6 becomes the default.
    static Endpoint from(const sockaddr* address, socklen_t size) noexcept;

    std::uint16_t port() const noexcept;
    Endpoint with_port(std::uint16_t port) const noexcept;          // the same address
    std::string host() const;                                       // without port and brackets
    int family() const noexcept { return address_.v4.sin_family; }  // AF_INET or AF_INET6
    std::string to_string() const;                                  // as parse() reads it

    const sockaddr* address() const noexcept { return &address_.any; }
    socklen_t size() const noexcept;

    friend bool operator==(const Endpoint& a, const Endpoint& b) noexcept;

private:
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    } address_;
};

}  // namespace uaio
