#include "tests/differential_curl/line.h"

#include "tests/support/kernels.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace uaio {
namespace {

void wait_for(int fd, short events, const char* what) {
    pollfd entry{fd, events, 0};
    const int patience = static_cast<int>(std::chrono::milliseconds(kPatience).count());
    if (::poll(&entry, 1, patience) != 1) throw std::runtime_error(what);
}

Endpoint bound_address(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return Endpoint::from(reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace

std::string Line::read(std::size_t size) {
    while (received_.size() < size) {
        const std::string more = receive();
        if (more.empty()) break;
        received_ += more;
    }
    const std::string bytes = received_.substr(0, size);
    received_.erase(0, bytes.size());
    return bytes;
}

std::string Line::read_until(std::string_view end) {
    std::size_t at = 0;
    while ((at = received_.find(end)) == std::string::npos) {
        const std::string more = receive();
        if (more.empty()) return std::exchange(received_, {});
        received_ += more;
    }
    return read(at + end.size());
}

std::string Line::read_to_end() {
    for (;;) {
        const std::string more = receive();
        if (more.empty()) return std::exchange(received_, {});
        received_ += more;
    }
}

void SocketLine::send(std::string_view bytes) {
    while (!bytes.empty()) {
        wait_for(socket_.fd(), POLLOUT, "the peer could not send");
        const ssize_t sent = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return;  // the row's answers show that it closed
        if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::string SocketLine::receive() {
    while (socket_.received().size() == given_ && socket_.end() == RawPeer::End::open) {
        wait_for(socket_.fd(), POLLIN, "the peer received no bytes in time");
        socket_.read_some();
    }
    const std::string bytes = socket_.received().substr(given_);
    given_ += bytes.size();
    return bytes;
}

std::unique_ptr<SocketLine> accept_line(int listener) {
    wait_for(listener, POLLIN, "no connection reached the peer in time");
    return std::make_unique<SocketLine>(RawPeer::accept_from(listener));
}

UnixListener::UnixListener() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    const auto* const general = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(fd_, general, sizeof address) != 0 || ::listen(fd_, 16) != 0) {
        throw std::runtime_error("cannot listen on " + path_);
    }
}

UnixListener::~UnixListener() { ::close(fd_); }

DeadPort::DeadPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Endpoint any = Endpoint::loopback(0);
    if (::bind(fd_, any.address(), any.size()) != 0) throw std::runtime_error("no port is free");
    endpoint_ = bound_address(fd_);
}

DeadPort::~DeadPort() { ::close(fd_); }

std::string hexadecimal(std::string_view bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    std::string text;
    for (const char each : bytes) {
        const auto byte = static_cast<unsigned char>(each);
        if (!text.empty()) text += ' ';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

}  // namespace uaio
