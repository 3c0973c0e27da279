// The PROXY protocol header, with which a proxy reports the client's address to a server (haproxy's
// specification, section 2; versions 1 and 2). A function of its arguments; any thread.
#pragma once

#include <uaio/proxy.h>

#include <sys/socket.h>

#include <string>

namespace uaio::proxy {

// Returns the bytes to send before any other. Reports addresses that are not both IPv4 or both IPv6
// as unknown. Throws std::bad_alloc.
std::string header(ProxyHeader version, const sockaddr_storage& source,
                   const sockaddr_storage& destination);

}  // namespace uaio::proxy
