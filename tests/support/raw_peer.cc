#include "tests/support/raw_peer.h"

#include "tests/support/kernels.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace uaio {
namespace {

void make_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

RawPeer::RawPeer(int fd) : fd_(fd) {
    REQUIRE(fd >= 0);
    make_nonblocking(fd);
}

RawPeer::~RawPeer() { close(); }

RawPeer::RawPeer(RawPeer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), end_(other.end_), received_(std::move(other.received_)) {}

RawPeer RawPeer::connect_tcp(const Endpoint& listener, int receive_buffer) {
    const int fd = ::socket(listener.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    REQUIRE(::connect(fd, listener.address(), listener.size()) == 0);
    return RawPeer(fd);
}

RawPeer RawPeer::connect_local(std::string_view path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    const bool abstract = path.starts_with('@');
    if (abstract) address.sun_path[0] = '\0';
    const std::size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) ==
            0);
    return RawPeer(fd);
}

RawPeer RawPeer::accept_from(int listener) {
    return RawPeer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

std::size_t RawPeer::unread() const {
    int bytes = 0;
    ::ioctl(fd_, FIONREAD, &bytes);
    return static_cast<std::size_t>(bytes);
}

std::size_t RawPeer::read_some(std::size_t limit) {
    static thread_local std::vector<char> buffer(1 << 18);
    std::size_t total = 0;
    while (end_ == End::open && total < limit) {
        const ssize_t got = ::recv(fd_, buffer.data(), std::min(buffer.size(), limit - total), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (got <= 0) {
            end_ = got == 0 ? End::fin : End::reset;
            break;
        }
        received_.append(buffer.data(), static_cast<std::size_t>(got));
        total += static_cast<std::size_t>(got);
    }
    return total;
}

std::size_t RawPeer::send_some(std::string_view bytes) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

void RawPeer::send(std::string_view bytes) { REQUIRE(send_some(bytes) == bytes.size()); }

void RawPeer::shutdown_write() { REQUIRE(::shutdown(fd_, SHUT_WR) == 0); }
void RawPeer::shutdown_read() { REQUIRE(::shutdown(fd_, SHUT_RD) == 0); }

void RawPeer::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void RawPeer::reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
}

bool RawPeer::writable() const {
    pollfd entry{fd_, POLLOUT, 0};
    return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT);
}

RawListener::RawListener(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Endpoint any = Endpoint::loopback(0);
    REQUIRE(::bind(fd_, any.address(), any.size()) == 0);
    REQUIRE(::listen(fd_, backlog) == 0);
}

RawListener::~RawListener() { ::close(fd_); }

Endpoint RawListener::endpoint() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    return Endpoint::loopback(ntohs(address.sin_port));
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string bytes(size, '\0');
    std::uint64_t state = 0x9e3779b97f4a7c15u * (seed + 1);
    std::size_t at = 0;
    while (at < size) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const std::size_t part = std::min(sizeof state, size - at);
        std::memcpy(bytes.data() + at, &state, part);
        at += part;
    }
    return bytes;
}

std::size_t open_descriptors() {
    DIR* const folder = ::opendir("/proc/self/fd");
    REQUIRE(folder != nullptr);
    std::size_t count = 0;
    while (const dirent* entry = ::readdir(folder))
        count += entry->d_name[0] != '.';
    ::closedir(folder);
    return count - 1;  // minus the descriptor of the folder itself
}

}  // namespace uaio
