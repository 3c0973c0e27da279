// An address of a simulated socket: IPv4, IPv6 or a path, as its sockaddr. Any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace uaio {

class SimAddress {
public:
    // Of no family: the address of an unbound socket.
    SimAddress() noexcept = default;
    // A copy of a program's address; not complete() if its size does not suit its family.
    SimAddress(const sockaddr* address, socklen_t size) noexcept;

    static SimAddress any(int family) noexcept;
    static SimAddress loopback(int family, std::uint16_t port) noexcept;
    // Of another host: 192.0.2.1 (RFC 5737), mapped in IPv6.
    static SimAddress distant(int family, std::uint16_t port) noexcept;
    static SimAddress path(std::string_view path) noexcept;

    int family() const noexcept { return storage_.ss_family; }
    bool complete() const noexcept;
    std::uint16_t port() const noexcept;
    void set_port(std::uint16_t port) noexcept;
    // A path without a name, which bind(2) replaces by an abstract one.
    bool unnamed() const noexcept;
    bool is_any() const noexcept;
    // True for an address of this host: loopback or any, and every path.
    bool is_local() const noexcept;

    // True if a listener here gets connects to `target`. `v6_only` as IPV6_V6ONLY.
    bool receives(const SimAddress& target, bool v6_only) const noexcept;
    // IPv4 as a dual-stack socket sees it.
    SimAddress mapped() const noexcept;

    // As getsockname(2) does: cuts at `*size`, and sets it to what the address needs.
    void copy_to(sockaddr* address, socklen_t* size) const noexcept;

    bool operator==(const SimAddress& other) const noexcept;
    std::string text() const;

private:
    sockaddr_storage storage_{};
    socklen_t size_ = 0;
};

}  // namespace uaio
