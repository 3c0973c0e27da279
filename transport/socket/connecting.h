// Connects to an address: opens a socket, sets its options, runs connect(2) through the ring, and
// creates a stream. Any thread.
#pragma once

#include <uaio/stream.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace uaio {

// A socket address of any family.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};
static_assert(sizeof(SocketAddress::storage) >= sizeof(sockaddr_in6) &&
              sizeof(SocketAddress::storage) >= sizeof(sockaddr_un));

struct ConnectPlan {
    SocketAddress peer;
    SocketAddress local;       // size 0: the kernel's choice
    unsigned local_ports = 1;  // to try, from that of `local` up
    unsigned interface = 0;    // index; 0: any
    StreamOptions stream;
    std::error_code refused;  // set: the connect ends with this error
};

// Connects on the Aio's engine; completes as tcp::connect() describes.
void connect_socket(const ConnectPlan& plan, Aio& aio, StreamPtr& out) noexcept;

}  // namespace uaio
