// The header that tells a server behind a proxy who connects (haproxy's "PROXY protocol", versions
// 1 and 2, section 2 of its specification). A function of its arguments; any thread.
#pragma once

#include <uaio/proxy.h>

#include <sys/socket.h>

#include <string>

namespace uaio::proxy {

// The bytes to send before any other. Addresses that are not both IPv4 or both IPv6 are told as
// unknown. Throws std::bad_alloc.
std::string header(ProxyHeader version, const sockaddr_storage& source,
                   const sockaddr_storage& destination);

}  // namespace uaio::proxy
