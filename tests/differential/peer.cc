#include "tests/differential/peer.h"

#include "tests/differential/socket_calls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace differential {
namespace {

constexpr int kReceiveBuffer = 64 << 10;
constexpr int kDescriptorsMax = 256;

short events_of(int fd, short wanted, int timeout_ms) {
    pollfd entry{fd, wanted, 0};
    return ::poll(&entry, 1, timeout_ms) > 0 ? entry.revents : short{0};
}

}  // namespace

Peer::Peer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    require(listener_ >= 0, "socket");
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    require(::bind(listener_, as_any(address), size) == 0, "bind");
    require(::listen(listener_, 1) == 0, "listen");
    require(::getsockname(listener_, as_any(address), &size) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
}

Peer::~Peer() {
    close();
    ::close(listener_);
}

void Peer::accept() {
    fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    require(fd_ >= 0, "accept");
}

std::size_t Peer::read_some(std::size_t limit) {
    static std::vector<char> buffer(256 << 10);
    std::size_t total = 0;
    while (end_ == End::open && total < limit) {
        const ssize_t got = ::recv(fd_, buffer.data(), std::min(buffer.size(), limit - total), 0);
        if (got > 0) {
            received_.append(buffer.data(), static_cast<std::size_t>(got));
            total += static_cast<std::size_t>(got);
        } else if (got == 0) {
            end_ = End::finished;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            end_ = End::reset;
        }
    }
    return total;
}

std::string Peer::take_head() {
    const std::string end = "\r\n\r\n";
    const std::size_t at = received_.find(end);
    if (at == received_.npos) return {};
    std::string head = received_.substr(0, at + end.size());
    received_.erase(0, head.size());
    return head;
}

bool Peer::wait_readable(int milliseconds) const {
    return (events_of(fd_, POLLIN, milliseconds) & (POLLIN | POLLHUP | POLLERR)) != 0;
}

void Peer::send(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t sent = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (sent > 0) {
            at += static_cast<std::size_t>(sent);
        } else {
            require(errno == EAGAIN || errno == EINTR, "send");
            require(events_of(fd_, POLLOUT, 10'000) != 0,
                    "the library does not read the bytes of the peer");
        }
    }
    sent_ += bytes;
}

void Peer::shutdown_write() { require(::shutdown(fd_, SHUT_WR) == 0, "shutdown"); }

void Peer::shutdown_read() {
    require(::shutdown(fd_, SHUT_RD) == 0, "shutdown");
    reads_ = false;
}

void Peer::close() {
    reads_ = false;
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Peer::reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

ObservedSocket::ObservedSocket(std::uint16_t port) {
    for (int fd = 0; fd < kDescriptorsMax; ++fd) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        if (::getpeername(fd, as_any(address), &size) != 0) continue;
        if (address.sin_family != AF_INET || ntohs(address.sin_port) != port) continue;
        struct stat status {};
        if (::fstat(fd, &status) != 0) continue;
        fd_ = fd;
        inode_ = status.st_ino;
        return;
    }
    throw std::system_error(ENOTCONN, std::system_category(), "the library's socket is not found");
}

bool ObservedSocket::is_open() const {
    struct stat status {};
    return ::fstat(fd_, &status) == 0 && status.st_ino == inode_;
}

bool ObservedSocket::is_full() const {
    return is_open() && (events_of(fd_, POLLOUT, 0) & POLLOUT) == 0;
}

bool ObservedSocket::is_hung_up() const {
    return !is_open() || (events_of(fd_, 0, 0) & POLLHUP) != 0;
}

bool ObservedSocket::has_unsent() const {
    int bytes = 0;
    return is_open() && ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

bool ObservedSocket::sends_at_once() const {
    int value = 0;
    socklen_t size = sizeof value;
    require(::getsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0, "getsockopt");
    return value != 0;
}

}  // namespace differential
