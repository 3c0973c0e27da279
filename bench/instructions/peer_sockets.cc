#include "bench/instructions/peer_sockets.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <string>
#include <system_error>

namespace uaio::bench {
namespace {

std::vector<Descriptor> connect_all(std::uint16_t port) {
    std::vector<Descriptor> sockets;
    for (std::uint64_t i = 0; i < kConnections; ++i)
        sockets.push_back(connect_to(port));
    return sockets;
}

void run_batch(Control& control, const std::vector<Descriptor>& sockets, std::string_view bytes,
               const Receive& receive) {
    for (const Descriptor& socket : sockets)
        send(socket.get(), bytes);
    control.signal();
    for (const Descriptor& socket : sockets)
        receive(socket.get());
}

}  // namespace

void send(int fd, std::string_view bytes) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) throw std::system_error(errno, std::system_category(), "send");
    if (static_cast<std::size_t>(sent) != bytes.size()) throw std::runtime_error("a short send");
}

void receive(int fd, std::size_t size) {
    std::array<char, 64 << 10> dropped;
    while (size > 0) {
        const ssize_t count = ::recv(fd, dropped.data(), std::min(size, dropped.size()), 0);
        if (count < 0) throw std::system_error(errno, std::system_category(), "recv");
        if (count == 0) throw std::runtime_error("the connection has ended");
        size -= static_cast<std::size_t>(count);
    }
}

std::string receive_head(int fd) {
    std::string head;
    char next = 0;
    while (!head.ends_with("\r\n\r\n")) {
        if (::recv(fd, &next, 1, 0) != 1) throw std::runtime_error("no message");
        head += next;
    }
    return head;
}

std::size_t receive_response(int fd) {
    constexpr std::string_view kLength = "\r\nContent-Length: ";
    const std::string head = receive_head(fd);
    const std::size_t at = head.find(kLength);
    if (!head.starts_with("HTTP/1.1 200 ") || at == std::string::npos) {
        throw std::runtime_error("an unexpected response: " + head);
    }
    std::size_t length = 0;
    std::from_chars(head.data() + at + kLength.size(), head.data() + head.size(), length);
    receive(fd, length);
    return head.size() + length;
}

void send_in_batches(Control& control, std::uint64_t batches, std::string_view bytes,
                     const Receive& receive) {
    const std::vector<Descriptor> sockets = connect_all(control.receive_port());
    for (; batches > 0; --batches) {
        run_batch(control, sockets, bytes, receive);
        if (batches > 1) control.wait();
    }
}

void connect_in_batches(Control& control, std::uint64_t batches, std::string_view bytes,
                        const Receive& receive) {
    const std::uint16_t port = control.receive_port();
    for (; batches > 0; --batches) {
        run_batch(control, connect_all(port), bytes, receive);
        if (batches > 1) control.wait();
    }
}

}  // namespace uaio::bench
