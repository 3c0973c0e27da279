// Calls that the sockets of the peer and of the ports share. Any thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace differential {

// Throws std::system_error with errno, which `what` has set, unless `ok`.
inline void require(bool ok, const char* what) {
    if (!ok) throw std::system_error(errno, std::system_category(), what);
}

inline sockaddr* as_any(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

// 127.0.0.1, `port` in host order; 0: the kernel chooses.
inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

}  // namespace differential
