#include "tests/support/easy_ends.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <ostream>

#include <doctest/doctest.h>

namespace uaio {
namespace {

int listen_on(const sockaddr* address, socklen_t size, int receive_buffer) {
    const int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd >= 0);
    if (receive_buffer > 0) {  // accepted sockets inherit it
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    REQUIRE(::bind(fd, address, size) == 0);
    REQUIRE(::listen(fd, 16) == 0);
    return fd;
}

std::uint16_t port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return Endpoint::from(reinterpret_cast<const sockaddr*>(&address), size).port();
}

int listen_on_path(const std::string& path, int receive_buffer) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, path.data() + 1, path.size() - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    return listen_on(reinterpret_cast<const sockaddr*>(&address), size, receive_buffer);
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

EasyPlace::EasyPlace(SimKernel* kernel, bool unix_socket, int receive_buffer) : kernel_(kernel) {
    if (unix_socket) path_ = kernel_ ? "/simulated" : fresh_abstract_name();
    std::uint16_t port = 4000;
    if (!kernel_) {
        if (unix_socket) {
            listener_ = listen_on_path(path_, receive_buffer);
        } else {
            const Endpoint any = Endpoint::loopback(0);
            listener_ = listen_on(any.address(), any.size(), receive_buffer);
            port = port_of(listener_);
        }
    } else {
        SimListener& listener =
            unix_socket ? kernel_->listen_peer(path_) : kernel_->listen_peer(port);
        listener.on_accept([this](SimPeer& peer) { arrived_.push_back(&peer); });
    }
    url_ = "tcp://127.0.0.1:" + std::to_string(port);
}

EasyPlace::~EasyPlace() {
    if (listener_ >= 0) ::close(listener_);
}

easy::Options EasyPlace::options() const {
    easy::Options options;
    options.proxy = "";
    options.unix_path = path_;
    return options;
}

FarEnd EasyPlace::accept() {
    if (!kernel_) return FarEnd(RawPeer::accept_from(listener_));
    REQUIRE(!arrived_.empty());
    SimPeer& last = *arrived_.back();
    arrived_.clear();
    return FarEnd(*kernel_, last);
}

EasyEnds::EasyEnds(KernelKind kind, bool unix_socket, easy::Options options, int receive_buffer)
    : options_(std::move(options)) {
    const bool simulated = kind == OnSim::kKind;
    if (simulated) {
        kernel_.emplace(1);
        engine_.emplace(*kernel_);
    } else {
        engine_.emplace(options_on(kind));
    }
    place_.emplace(simulated ? &*kernel_ : nullptr, unix_socket, receive_buffer);
    options_.proxy = "";
    options_.unix_path = place_->options().unix_path;
    connection_.emplace(*engine_);
    REQUIRE(connect() == success(0));
    accept();
}

EasyEnds EasyEnds::small_buffers(KernelKind kind) {
    easy::Options options;
    options.stream.send_buffer = 32 * 1024;
    return EasyEnds(kind, false, options, 16 * 1024);
}

Ended EasyEnds::connect() {
    Operation connect(*engine_);
    connection_->connect(place_->url(), options_, connect.aio);
    CHECK(connect.ended() == kPending);
    REQUIRE(run_until_done(connect));
    return connect.ended();
}

Ended EasyEnds::wait_for(Direction direction) {
    Operation wait(*engine_);
    connection_->wait_for(direction, wait.aio);
    REQUIRE(run_until_done(wait));
    return wait.ended();
}

Transferred EasyEnds::try_send(std::string_view bytes) {
    return connection_->try_send(bytes_of(bytes));
}

EasyEnds::Received EasyEnds::try_receive(std::size_t size) {
    Received received;
    received.bytes.assign(size, '\0');
    received.result = connection_->try_receive(std::as_writable_bytes(std::span(received.bytes)));
    received.bytes.resize(received.result.count);
    return received;
}

EasyEnds::Received EasyEnds::receive(std::size_t size) {
    CHECK(wait_for(Direction::receive) == success(0));
    return try_receive(size);
}

void EasyEnds::send_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const Transferred result = try_send(bytes);
        bytes.remove_prefix(result.count);
        if (!result.error) continue;
        REQUIRE(result == kWouldBlock);
        Operation wait(*engine_);
        connection_->wait_for(Direction::send, wait.aio);
        REQUIRE(run_until([&] {
            peer_->read_some();
            return wait.done();
        }));
        REQUIRE(wait.ended() == success(0));
        REQUIRE(!try_send(bytes.substr(0, 1)).error);  // the wait reported writability
        bytes.remove_prefix(1);
    }
}

std::ostream& operator<<(std::ostream& out, const Transferred& result) {
    return out << result.error.message() << " (" << result.error << "), " << result.count
               << " bytes";
}

}  // namespace uaio
