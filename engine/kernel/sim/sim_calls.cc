// The calls of the simulated kernel that do not go through the ring.
#include "engine/kernel/sim/sim_kernel.h"
#include "engine/kernel/sim/sim_scope.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace uaio {
namespace {

// The kernel doubles the requested size, and keeps at least this (socket(7)).
constexpr int kLeastBuffer = 4608;
constexpr int kLargestBuffer = 1 << 28;

constexpr int kTypeMask = ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

int level_error(const SimSocket& socket, int level) noexcept {
    if (level == SOL_SOCKET) return 0;
    if (socket.is_local()) return -EOPNOTSUPP;
    const bool known = level == IPPROTO_TCP || level == IPPROTO_IP ||
                       (level == IPPROTO_IPV6 && socket.domain == AF_INET6);
    return known ? 0 : -ENOPROTOOPT;
}

// The value of an option that the simulation itself keeps, of type int.
std::optional<int> own_option(SimSocket& socket, int name) noexcept {
    switch (name) {
        case SO_ERROR: return std::exchange(socket.error, 0);
        case SO_TYPE: return SOCK_STREAM;
        case SO_DOMAIN: return socket.domain;
        case SO_ACCEPTCONN: return socket.state == SimSocket::State::listening;
        case SO_SNDBUF: return static_cast<int>(socket.send_buffer);
        case SO_RCVBUF: return static_cast<int>(socket.receive_buffer);
        default: return std::nullopt;
    }
}

}  // namespace

bool SimMachine::register_buffer_ring(unsigned group, io_uring_buf_ring* ring,
                                      unsigned entries) noexcept {
    if (group != 0) return false;
    operations_.set_buffer_ring(ring, entries);
    return true;
}

// A simulated receive that waits has taken no buffer yet, and one that has taken its bytes writes
// them when it is reported.
bool SimMachine::unregister_buffer_ring(unsigned group) noexcept {
    if (group != 0) return false;
    operations_.set_buffer_ring(nullptr, 0);
    return operations_.pending() == 0;
}

int SimMachine::socket(int domain, int type, int protocol) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::socket)) return error;
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) return -EAFNOSUPPORT;
    if ((type & kTypeMask) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
    if (protocol != 0 && (domain == AF_UNIX || protocol != IPPROTO_TCP)) return -EPROTONOSUPPORT;
    if (descriptors_.full()) return -EMFILE;
    return descriptors_.add(network_.make(domain, operations_));
}

int SimMachine::bind_socket(int fd, const sockaddr* address, socklen_t size) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::bind)) return error;
    SimSocket* const found = descriptors_.find(fd);
    return found ? network_.bind(*found, SimAddress(address, size)) : -EBADF;
}

int SimMachine::listen(int fd, int backlog) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::listen)) return error;
    SimSocket* const found = descriptors_.find(fd);
    return found ? network_.listen(*found, backlog) : -EBADF;
}

int SimMachine::set_option(int fd, int level, int name, const void* value,
                           socklen_t size) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::set_option)) return error;
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    if (const int error = level_error(*found, level)) return error;
    if (!value) return -EFAULT;
    if (level == IPPROTO_TCP && name == TCP_ULP) return -ENOENT;  // no kernel TLS here
    const auto* const bytes = static_cast<const std::byte*>(value);
    const bool buffer = level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF);
    const bool read_only = level == SOL_SOCKET && own_option(*found, name) && !buffer;
    if (read_only) return -ENOPROTOOPT;
    if (!buffer) {
        found->options[{level, name}].assign(bytes, bytes + size);
        return 0;
    }
    int wanted = 0;
    if (size < sizeof wanted) return -EINVAL;
    std::memcpy(&wanted, value, sizeof wanted);
    const int kept = std::max(2 * std::clamp(wanted, 0, kLargestBuffer), kLeastBuffer);
    (name == SO_SNDBUF ? found->send_buffer : found->receive_buffer) =
        static_cast<std::size_t>(kept);
    network_.resize(*found);
    return 0;
}

int SimMachine::get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::get_option)) return error;
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    if (const int error = level_error(*found, level)) return error;
    if (!value || !size) return -EFAULT;
    const auto stored = found->options.find({level, name});
    if (stored != found->options.end()) {
        *size = std::min(*size, static_cast<socklen_t>(stored->second.size()));
        std::memcpy(value, stored->second.data(), *size);
        return 0;
    }
    if (level == IPPROTO_TCP && name == TCP_INFO) {
        tcp_info info{};
        const bool gone = found->state == SimSocket::State::reset;
        info.tcpi_state = gone ? TCP_CLOSE : TCP_ESTABLISHED;
        *size = std::min<socklen_t>(*size, sizeof info);
        std::memcpy(value, &info, *size);
        return 0;
    }
    int own = 0;
    if (level == SOL_SOCKET) own = own_option(*found, name).value_or(0);
    *size = std::min<socklen_t>(*size, sizeof own);
    std::memcpy(value, &own, *size);
    return 0;
}

int SimMachine::local_address(int fd, sockaddr* address, socklen_t* size) noexcept {
    const SimScope scope(*this);
    const SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    const SimAddress any = SimAddress::any(found->domain);
    (found->is_bound() ? found->local : any).copy_to(address, size);
    return 0;
}

int SimMachine::peer_address(int fd, sockaddr* address, socklen_t* size) noexcept {
    const SimScope scope(*this);
    const SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    if (found->state != SimSocket::State::connected) return -ENOTCONN;
    const bool distant = world_.faults.distant && found->domain != AF_UNIX;
    const SimAddress remote =
        distant ? SimAddress::distant(found->domain, found->remote.port()) : found->remote;
    remote.copy_to(address, size);
    return 0;
}

int SimMachine::shutdown(int fd, int how) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::shutdown)) return error;
    SimSocket* const found = descriptors_.find(fd);
    return found ? network_.shutdown(*found, how) : -EBADF;
}

// The outcome of one attempt to transfer this many bytes: their number, or a negative errno.
std::int64_t SimMachine::disturb(SimSocket& socket, SimCall call, std::size_t size) {
    DCHECK(size > 0);
    const bool sends = call == SimCall::send;
    const Faults& faults = world_.faults;
    SimCounters& counters = world_.counters;
    if (const int error = world_.scripted_error(call)) return error;
    if (world_.strikes(faults.interrupted_operation, counters.interrupted_operations)) {
        return -EINTR;
    }
    const bool breaks = socket.other && socket.state == SimSocket::State::connected;
    if (breaks && world_.strikes(faults.reset, counters.resets)) {
        network_.break_connection(socket);
    }
    if (sends) {
        if (const int error = network_.may_send(socket)) return error;
    } else if (socket.in.arrived() == 0) {
        return network_.end_of_receiving(socket).value_or(-EAGAIN);
    }
    std::size_t length = std::min(size, sends ? network_.room(socket) : socket.in.arrived());
    SimLengths& script = sends ? world_.send_lengths : world_.receive_lengths;
    const unsigned rate = sends ? faults.short_write : faults.short_read;
    std::uint64_t& cut = sends ? counters.short_writes : counters.short_reads;
    if (length == 0) return -EAGAIN;
    if (const std::optional<std::size_t> scripted = script.next()) {
        ++counters.scripted;
        length = std::min(length, *scripted);
    } else if (length > 1 && world_.strikes(rate, cut)) {
        length = world_.random.between(1, length - 1);
    }
    DCHECK(length > 0 && length <= size);
    return static_cast<std::int64_t>(length);
}

std::int64_t SimMachine::send_at_once(int fd, const void* data, std::size_t size) noexcept {
    const SimScope scope(*this);
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    const std::int64_t length = disturb(*found, SimCall::send, size);
    if (length <= 0) return length;
    network_.send(*found,
                  std::string(static_cast<const char*>(data), static_cast<std::size_t>(length)));
    return length;
}

std::int64_t SimMachine::receive_at_once(int fd, void* data, std::size_t size) noexcept {
    const SimScope scope(*this);
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    const std::int64_t length = disturb(*found, SimCall::receive, size);
    if (length <= 0) return length;
    std::string bytes;
    network_.receive(*found, static_cast<std::size_t>(length), &bytes);
    ALWAYS_CHECK(bytes.size() <= size, "more bytes were received than the buffer has room for");
    std::memcpy(data, bytes.data(), bytes.size());
    return length;
}

int SimMachine::peek(int fd) noexcept {
    const SimScope scope(*this);
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    if (found->in.arrived() > 0) return 1;
    return static_cast<int>(network_.end_of_receiving(*found).value_or(-EAGAIN));
}

std::int64_t SimMachine::discard_received(int fd, std::size_t limit) noexcept {
    const SimScope scope(*this);
    SimSocket* const found = descriptors_.find(fd);
    if (!found) return -EBADF;
    if (found->in.arrived() == 0) return network_.end_of_receiving(*found).value_or(-EAGAIN);
    return static_cast<std::int64_t>(network_.receive(*found, limit, nullptr));
}

int SimMachine::close(int fd) noexcept {
    const SimScope scope(*this);
    if (const int error = world_.scripted_error(SimCall::close)) return error;
    SimSocket* const found = descriptors_.remove(fd);
    if (!found) return -EBADF;
    network_.release(*found);
    return 0;
}

}  // namespace uaio
