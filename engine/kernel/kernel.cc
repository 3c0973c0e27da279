#include "engine/kernel/kernel.h"

#include "base/check.h"

#include <fcntl.h>
#include <linux/tls.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>

namespace uaio {
namespace {

// The kernel shares the heads and tails; a lock of this process would not hold it off.
static_assert(std::atomic_ref<unsigned>::is_always_lock_free);
static_assert(std::atomic_ref<unsigned>::required_alignment == alignof(unsigned));

constexpr std::size_t kMostOfRecord = 1 << 14;  // bytes of one TLS record (RFC 8446, 5.1)

int value_or_errno(int value) noexcept { return value < 0 ? -errno : value; }

unsigned load(unsigned* value) noexcept {
    return std::atomic_ref(*value).load(std::memory_order_acquire);
}

}  // namespace

bool RingView::is_consistent() const noexcept {
    const unsigned submissions = load(sq_tail) - load(sq_head);
    const unsigned completions = load(cq_tail) - load(cq_head);
    return sqes && cqes && std::has_single_bit(sq_mask + 1) && std::has_single_bit(cq_mask + 1) &&
           submissions <= sq_mask + 1 && completions <= cq_mask + 1;
}

bool Kernel::register_memory(unsigned, unsigned, void*, std::size_t) noexcept { return false; }

bool Kernel::register_buffer_ring(unsigned, io_uring_buf_ring*, unsigned) noexcept { return false; }
bool Kernel::unregister_buffer_ring(unsigned) noexcept { return false; }

int Kernel::socket(int domain, int type, int protocol) noexcept {
    return value_or_errno(::socket(domain, type | SOCK_CLOEXEC, protocol));
}

int Kernel::duplicate(int fd) noexcept { return value_or_errno(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

int Kernel::bind_socket(int fd, const sockaddr* address, socklen_t size) noexcept {
    return value_or_errno(::bind(fd, address, size));
}

int Kernel::listen(int fd, int backlog) noexcept { return value_or_errno(::listen(fd, backlog)); }

int Kernel::set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
    return value_or_errno(::setsockopt(fd, level, name, value, size));
}

int Kernel::get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
    return value_or_errno(::getsockopt(fd, level, name, value, size));
}

int Kernel::local_address(int fd, sockaddr* address, socklen_t* size) noexcept {
    return value_or_errno(::getsockname(fd, address, size));
}

int Kernel::peer_address(int fd, sockaddr* address, socklen_t* size) noexcept {
    return value_or_errno(::getpeername(fd, address, size));
}

int Kernel::shutdown(int fd, int how) noexcept { return value_or_errno(::shutdown(fd, how)); }

std::int64_t Kernel::send_at_once(int fd, const void* data, std::size_t size) noexcept {
    DCHECK(size > 0);
    const ssize_t sent = ::send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

std::int64_t Kernel::send_message_at_once(int fd, const msghdr& message) noexcept {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

std::int64_t Kernel::send_record_at_once(int fd, std::uint8_t type, const void* data,
                                         std::size_t size) noexcept {
    DCHECK(size > 0 && size <= kMostOfRecord);
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof type)] = {};
    iovec entry{const_cast<void*>(data), size};
    msghdr message{};
    message.msg_iov = &entry;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(sizeof type);
    std::memcpy(CMSG_DATA(header), &type, sizeof type);
    const ssize_t sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

std::int64_t Kernel::receive_at_once(int fd, void* data, std::size_t size) noexcept {
    DCHECK(size > 0);  // its result of 0 would look like the end of stream
    const ssize_t received = ::recv(fd, data, size, MSG_DONTWAIT);
    return received < 0 ? -errno : received;
}

int Kernel::peek(int fd) noexcept {
    char byte;
    const ssize_t result = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return result < 0 ? -errno : static_cast<int>(result);
}

std::int64_t Kernel::discard_received(int fd, std::size_t limit) noexcept {
    DCHECK(limit > 0);
    // tcp(7): with MSG_TRUNC the kernel drops the bytes without a copy. A socket that copies all
    // the same, such as a unix socket, fails at memory that cannot be written (EFAULT). valgrind
    // reports a null address.
    constexpr std::size_t kMost = std::size_t{1} << 20;
    static void* const unwritable =
        ::mmap(nullptr, kMost, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const std::size_t size = std::min(limit, kMost);
    const ssize_t dropped = ::recv(fd, unwritable, size, MSG_TRUNC | MSG_DONTWAIT);
    return dropped < 0 ? -errno : dropped;
}

int Kernel::close(int fd) noexcept { return value_or_errno(::close(fd)); }

int Kernel::identify_file(const char* path, FileIdentity& file) noexcept {
    struct stat status {};
    if (::lstat(path, &status) != 0) return -errno;
    file = {.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

// Between identify_file() and unlink(2) another process can still replace the file; Linux has no
// call that does both.
void Kernel::remove_file(const char* path, const FileIdentity& file) noexcept {
    FileIdentity found;
    if (identify_file(path, found) == 0 && found == file) ::unlink(path);
}

// The file outlives the server that made it. Another server may replace it during the probe.
void Kernel::remove_stale_socket(const char* path, const sockaddr* address,
                                 socklen_t size) noexcept {
    struct stat status {};
    if (::stat(path, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
    FileIdentity file;
    if (identify_file(path, file) < 0) return;
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return;
    const bool stale = ::connect(probe, address, size) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    if (stale) remove_file(path, file);
}

}  // namespace uaio
