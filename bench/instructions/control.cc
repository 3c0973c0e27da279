#include "bench/instructions/control.h"

#include <unistd.h>

#include <stdexcept>

namespace uaio::bench {

void Control::wait() {
    char byte = 0;
    if (::read(socket_.get(), &byte, 1) != 1) throw std::runtime_error("the peer has ended");
}

void Control::signal() {
    const char byte = 0;
    if (::write(socket_.get(), &byte, 1) != 1) throw std::runtime_error("the peer has ended");
}

void Control::send_port(std::uint16_t port) {
    if (::write(socket_.get(), &port, sizeof port) != sizeof port) {
        throw std::runtime_error("the peer has ended");
    }
}

std::uint16_t Control::receive_port() {
    std::uint16_t port = 0;
    if (::read(socket_.get(), &port, sizeof port) != sizeof port) {
        throw std::runtime_error("the peer has ended");
    }
    return port;
}

}  // namespace uaio::bench
