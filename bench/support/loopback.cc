#include "bench/support/loopback.h"

#include "bench/support/processor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace uaio::bench {
namespace {

// Bytes that must be available before the reader wakes (socket(7) SO_RCVLOWAT).
constexpr int kWakeBytes = 64 << 10;

int checked(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::system_category(), call);
    return result;
}

Descriptor make_socket() {
    return Descriptor(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
}

sockaddr_in loopback_address(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

}  // namespace

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

Listening::Listening() : socket_(make_socket()) {
    sockaddr_in address = loopback_address(0);
    socklen_t size = sizeof address;
    const auto any = reinterpret_cast<sockaddr*>(&address);
    checked(::bind(socket_.get(), any, size), "bind");
    checked(::listen(socket_.get(), SOMAXCONN), "listen");
    checked(::getsockname(socket_.get(), any, &size), "getsockname");
    port_ = ntohs(address.sin_port);
}

Descriptor Listening::accept() const {
    Descriptor accepted(
        checked(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept"));
    set_no_delay(accepted.get());
    return accepted;
}

Descriptor connect_to(std::uint16_t port) {
    Descriptor socket = make_socket();
    set_no_delay(socket.get());
    const sockaddr_in address = loopback_address(port);
    checked(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            "connect");
    return socket;
}

void set_no_delay(int fd) {
    const int yes = 1;
    checked(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
}

DiscardingReader::~DiscardingReader() {
    if (thread_.joinable()) thread_.join();
}

void DiscardingReader::start(Descriptor socket) {
    socket_ = std::move(socket);
    thread_ = std::thread([this] { discard(); });
}

clockid_t DiscardingReader::clock() {
    clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
    pthread_getcpuclockid(thread_.native_handle(), &clock);
    return clock;
}

void DiscardingReader::discard() const {
    pin_to_processor(Place::other);
    checked(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVLOWAT, &kWakeBytes, sizeof kWakeBytes),
            "SO_RCVLOWAT");
    constexpr std::size_t kMost = std::size_t{1} << 20;
    while (::recv(socket_.get(), nullptr, kMost, MSG_TRUNC) > 0) {
    }
}

}  // namespace uaio::bench
