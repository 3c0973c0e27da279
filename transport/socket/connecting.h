// Making a connection to an address: a socket, its options, connect(2) through the ring, and in the
// end a stream. Any thread.
#pragma once

#include <uaio/stream.h>

#include <sys/socket.h>

namespace uaio {

// An address as the kernel wants it, of any family.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

struct ConnectPlan {
    SocketAddress peer;
    SocketAddress local;       // size 0: the kernel's choice
    unsigned local_ports = 1;  // that are tried, from that of `local` up
    unsigned interface = 0;    // index; 0: any
    StreamOptions stream;
    std::error_code refused;  // set: the plan is wrong, and the connect ends with this
};

// Connects on the Aio's engine; ends as tcp::connect() says.
void connect_socket(const ConnectPlan& plan, Aio& aio, StreamPtr& out) noexcept;

}  // namespace uaio
