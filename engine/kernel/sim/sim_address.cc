#include "engine/kernel/sim/sim_address.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace uaio {
namespace {

// The family lies at the same place in all of them.
static_assert(offsetof(sockaddr_storage, ss_family) == offsetof(sockaddr_in, sin_family));
static_assert(offsetof(sockaddr_storage, ss_family) == offsetof(sockaddr_in6, sin6_family));
static_assert(offsetof(sockaddr_storage, ss_family) == offsetof(sockaddr_un, sun_family));

constexpr socklen_t kPathOffset = offsetof(sockaddr_un, sun_path);

template <class Address>
Address as(const sockaddr_storage& storage) noexcept {
    static_assert(sizeof(Address) <= sizeof storage && std::is_trivially_copyable_v<Address>);
    Address address;
    std::memcpy(&address, &storage, sizeof address);
    return address;
}

}  // namespace

SimAddress::SimAddress(const sockaddr* address, socklen_t size) noexcept
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
    if (address) std::memcpy(&storage_, address, size_);
    const char* const path = reinterpret_cast<const char*>(&storage_) + kPathOffset;
    if (family() == AF_UNIX && size > sizeof(sockaddr_un)) size_ = 0;
    if (family() == AF_UNIX && size_ > kPathOffset && path[0] != '\0') {
        // The size of a path includes its terminating zero, whether or not the program gave it
        // (unix(7)); that of an abstract name, which begins with a zero, stays.
        size_ = kPathOffset + static_cast<socklen_t>(strnlen(path, size_ - kPathOffset)) + 1;
    }
    DCHECK(size_ <= sizeof storage_);
}

SimAddress SimAddress::any(int family) noexcept {
    DCHECK(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
    SimAddress address;
    address.storage_.ss_family = static_cast<sa_family_t>(family);
    address.size_ = family == AF_INET    ? sizeof(sockaddr_in)
                    : family == AF_INET6 ? sizeof(sockaddr_in6)
                                         : kPathOffset;
    return address;
}

SimAddress SimAddress::loopback(int family, std::uint16_t port) noexcept {
    if (family == AF_INET6) {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        v6.sin6_addr = in6addr_loopback;
        return SimAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return SimAddress(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

SimAddress SimAddress::distant(int family, std::uint16_t port) noexcept {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(0xc0000201);
    const SimAddress address(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
    return family == AF_INET6 ? address.mapped() : address;
}

SimAddress SimAddress::path(std::string_view path) noexcept {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    const std::size_t length = std::min(path.size(), sizeof local.sun_path);
    std::memcpy(local.sun_path, path.data(), length);
    return SimAddress(reinterpret_cast<const sockaddr*>(&local),
                      kPathOffset + static_cast<socklen_t>(length));
}

bool SimAddress::complete() const noexcept {
    switch (family()) {
        case AF_INET: return size_ >= sizeof(sockaddr_in);
        case AF_INET6: return size_ >= offsetof(sockaddr_in6, sin6_scope_id);
        case AF_UNIX: return size_ >= kPathOffset;
        default: return false;
    }
}

std::uint16_t SimAddress::port() const noexcept {
    if (family() == AF_INET) return ntohs(as<sockaddr_in>(storage_).sin_port);
    if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(storage_).sin6_port);
    return 0;
}

void SimAddress::set_port(std::uint16_t port) noexcept {
    // The port lies at the same place in both.
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    DCHECK(family() == AF_INET || family() == AF_INET6);  // in a path it would be text
    const in_port_t value = htons(port);
    std::memcpy(reinterpret_cast<std::byte*>(&storage_) + offsetof(sockaddr_in, sin_port), &value,
                sizeof value);
}

bool SimAddress::unnamed() const noexcept { return family() == AF_UNIX && size_ <= kPathOffset; }

bool SimAddress::is_any() const noexcept {
    if (family() == AF_INET) return as<sockaddr_in>(storage_).sin_addr.s_addr == INADDR_ANY;
    const auto v6 = as<sockaddr_in6>(storage_);
    return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

bool SimAddress::is_local() const noexcept {
    if (family() == AF_UNIX || is_any()) return true;
    if (family() == AF_INET) {
        return ntohl(as<sockaddr_in>(storage_).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const auto v6 = as<sockaddr_in6>(storage_);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) || IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
}

bool SimAddress::receives(const SimAddress& target, bool v6_only) const noexcept {
    if (family() == AF_UNIX || target.family() == AF_UNIX) return *this == target;
    if (port() != target.port()) return false;
    if (family() == target.family()) {
        SimAddress host = target;
        // connect(2) to the any address means this host.
        if (host.is_any()) host = loopback(family(), port());
        return is_any() || *this == host;
    }
    return family() == AF_INET6 && !v6_only && (is_any() || *this == target.mapped());
}

SimAddress SimAddress::mapped() const noexcept {
    if (family() != AF_INET) return *this;
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port());
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    const in_addr v4 = as<sockaddr_in>(storage_).sin_addr;
    std::memcpy(&v6.sin6_addr.s6_addr[12], &v4, sizeof v4);
    return SimAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

void SimAddress::copy_to(sockaddr* address, socklen_t* size) const noexcept {
    if (!address || !size) return;
    std::memcpy(address, &storage_, std::min(*size, size_));
    *size = size_;
}

bool SimAddress::operator==(const SimAddress& other) const noexcept {
    if (family() != other.family()) return false;
    if (family() == AF_INET) {
        return port() == other.port() && as<sockaddr_in>(storage_).sin_addr.s_addr ==
                                             as<sockaddr_in>(other.storage_).sin_addr.s_addr;
    }
    if (family() == AF_INET6) {
        const auto one = as<sockaddr_in6>(storage_);
        const auto two = as<sockaddr_in6>(other.storage_);
        return port() == other.port() && IN6_ARE_ADDR_EQUAL(&one.sin6_addr, &two.sin6_addr);
    }
    return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
}

std::string SimAddress::text() const {
    if (family() == AF_INET || family() == AF_INET6) {
        char host[INET6_ADDRSTRLEN] = "";
        const std::size_t offset = family() == AF_INET ? offsetof(sockaddr_in, sin_addr)
                                                       : offsetof(sockaddr_in6, sin6_addr);
        inet_ntop(family(), reinterpret_cast<const std::byte*>(&storage_) + offset, host,
                  sizeof host);
        return std::string(host) + "#" + std::to_string(port());
    }
    if (family() == AF_UNIX && !unnamed()) {
        const auto local = as<sockaddr_un>(storage_);
        return std::string(local.sun_path, size_ - kPathOffset - (local.sun_path[0] ? 1 : 0));
    }
    return "nothing";
}

}  // namespace uaio
