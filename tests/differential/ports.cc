#include "tests/differential/ports.h"

#include "tests/differential/socket_calls.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace differential {
namespace {

constexpr int kConnectPatience = 10'000;  // milliseconds

int make_socket() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0, "socket");
    return fd;
}

// The port chosen by the kernel.
std::uint16_t bind_any(int fd) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    require(::bind(fd, as_any(address), size) == 0, "bind");
    require(::getsockname(fd, as_any(address), &size) == 0, "getsockname");
    return ntohs(address.sin_port);
}

}  // namespace

ClosedPort::ClosedPort() : fd_(make_socket()) { port_ = bind_any(fd_); }

ClosedPort::~ClosedPort() { ::close(fd_); }

FullPort::FullPort() : listener_(make_socket()), first_(make_socket()) {
    port_ = bind_any(listener_);
    require(::listen(listener_, 0) == 0, "listen");
    sockaddr_in address = loopback(port_);
    require(::connect(first_, as_any(address), sizeof address) == 0, "connect");
    pollfd queued{listener_, POLLIN, 0};  // its last packet may still be in transit
    require(::poll(&queued, 1, kConnectPatience) == 1, "poll");
}

FullPort::~FullPort() {
    if (accepted_ >= 0) ::close(accepted_);
    ::close(first_);
    ::close(listener_);
}

void FullPort::make_room() {
    accepted_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    require(accepted_ >= 0, "accept");
}

}  // namespace differential
