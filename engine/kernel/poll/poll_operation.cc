#include "engine/kernel/poll/poll_operation.h"

#include "base/check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <new>

namespace uaio {
namespace {

// One word of an SQE, under a name for each operation.
static_assert(offsetof(io_uring_sqe, rw_flags) == offsetof(io_uring_sqe, msg_flags));
static_assert(offsetof(io_uring_sqe, rw_flags) == offsetof(io_uring_sqe, accept_flags));
static_assert(offsetof(io_uring_sqe, rw_flags) == offsetof(io_uring_sqe, poll32_events));

// poll(2) and epoll_ctl(2) give the events the same numbers.
static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT);
static_assert(EPOLLRDNORM == POLLRDNORM && EPOLLRDBAND == POLLRDBAND);
static_assert(EPOLLWRNORM == POLLWRNORM && EPOLLWRBAND == POLLWRBAND && EPOLLMSG == POLLMSG);
static_assert(EPOLLRDHUP == POLLRDHUP && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP);

template <class T>
T* pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

// The events that hold now, of `events`, POLLERR and POLLHUP; 0 if none, negative for an errno.
int ready_events(int fd, std::uint32_t events) noexcept {
    pollfd entry{fd, static_cast<short>(events), 0};
    if (::poll(&entry, 1, 0) < 0) return -errno;
    if (entry.revents & POLLNVAL) return -EBADF;
    return entry.revents;
}

// True if a partial transfer may go on: not where a part is a message.
bool is_stream(int fd) noexcept {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) return false;
    return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

}  // namespace

int PollOperation::prepare(const io_uring_sqe& sqe) noexcept {
    DCHECK(!is_waiting() && !next_ && !previous_);
    user_data_ = sqe.user_data;
    fd_ = sqe.fd;
    opcode_ = sqe.opcode;
    sqe_flags_ = sqe.flags;
    state_ = State::ordinary;
    wait_all_ = false;
    done_ = left_ = 0;
    flags_ = sqe.rw_flags;
    switch (sqe.opcode) {
        case IORING_OP_SEND:
        case IORING_OP_RECV:
        case IORING_OP_SENDMSG:
        case IORING_OP_RECVMSG: return prepare_transfer(sqe);
        case IORING_OP_READ:
            data_ = pointer<std::byte>(sqe.addr);
            left_ = std::min<std::size_t>(sqe.len, kMaxTransfer);
            offset_ = sqe.off;
            if (flags_ & RWF_NOWAIT) state_ = State::impatient;
            return 0;
        case IORING_OP_ACCEPT:
            // Multishot accepts and direct descriptors are newer than the systems that need this
            // kernel.
            if (sqe.ioprio || sqe.file_index) return -EINVAL;
            peer_ = pointer<sockaddr>(sqe.addr);
            peer_size_ = pointer<socklen_t>(sqe.addr2);
            return 0;
        case IORING_OP_CONNECT:
            if (sqe.ioprio || sqe.off > sizeof own_address_) return -EINVAL;
            address_ = pointer<const sockaddr>(sqe.addr);
            address_size_ = static_cast<socklen_t>(sqe.off);
            return 0;
        case IORING_OP_POLL_ADD:
            if (sqe.len) return -EINVAL;  // multishot and updates
            if constexpr (std::endian::native == std::endian::big) {
                flags_ = flags_ << 16 | flags_ >> 16;
            }
            return 0;
        default: return -EINVAL;
    }
}

int PollOperation::prepare_transfer(const io_uring_sqe& sqe) noexcept {
    // POLL_FIRST is only advice. Multishot, registered and provided buffers are refused, as by
    // kernels before 5.19.
    if (sqe.ioprio & ~IORING_RECVSEND_POLL_FIRST) return -EINVAL;
    if (flags_ & MSG_DONTWAIT) state_ = State::impatient;
    // MSG_PEEK leaves the bytes, so a second attempt would find them twice.
    wait_all_ = (flags_ & MSG_WAITALL) && !(flags_ & MSG_PEEK);
    flags_ = (flags_ & ~static_cast<unsigned>(MSG_WAITALL)) | MSG_DONTWAIT | MSG_NOSIGNAL;
    if (opcode_ == IORING_OP_SENDMSG || opcode_ == IORING_OP_RECVMSG) return prepare_message(sqe);
    data_ = pointer<std::byte>(sqe.addr);
    left_ = std::min<std::size_t>(sqe.len, kMaxTransfer);
    address_ = nullptr;
    if (opcode_ == IORING_OP_SEND && sqe.addr2) {
        address_ = pointer<const sockaddr>(sqe.addr2);
        address_size_ = sqe.addr_len;
        if (address_size_ > sizeof own_address_) return -EINVAL;
    }
    return 0;
}

int PollOperation::prepare_message(const io_uring_sqe& sqe) noexcept {
    asked_message_ = pointer<msghdr>(sqe.addr);
    if (!asked_message_) return -EFAULT;
    message_ = *asked_message_;
    owns_list_ = false;
    if (message_.msg_iovlen > kMaxEntries) return -EMSGSIZE;
    if (!wait_all_) return 0;
    for (std::size_t i = 0; i < message_.msg_iovlen; ++i) {
        left_ += std::min(message_.msg_iov[i].iov_len, kMaxTransfer - left_);
    }
    return 0;
}

int PollOperation::attempt() noexcept {
    static_assert(kMaxTransfer <= INT_MAX);
    DCHECK(state_ != State::unused);
    DCHECK(done_ <= kMaxTransfer && (done_ == 0 || (wait_all_ && left_ > 0)));
    switch (opcode_) {
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG: return attempt_send();
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG: return attempt_receive();
        case IORING_OP_ACCEPT: return attempt_accept();
        case IORING_OP_CONNECT: return attempt_connect();
        case IORING_OP_READ: return attempt_read();
        default: return attempt_poll();
    }
}

int PollOperation::attempt_blocking() noexcept {
    DCHECK(!is_waiting());
    return opcode_ == IORING_OP_READ ? read_once(0) : -EPERM;
}

int PollOperation::attempt_send() noexcept {
    for (;;) {
        const ssize_t sent = send_once();
        if (sent < 0) return result_or_wait(errno);
        DCHECK(!wait_all_ || static_cast<std::size_t>(sent) <= left_);
        if (!carries_on(static_cast<std::size_t>(sent))) return static_cast<int>(done_);
    }
}

int PollOperation::attempt_receive() noexcept {
    for (;;) {
        const ssize_t received = receive_once();
        if (received < 0) return result_or_wait(errno);
        if (wait_all_ && static_cast<std::size_t>(received) < left_ && !is_stream(fd_)) {
            wait_all_ = false;
        }
        if (!carries_on(static_cast<std::size_t>(received))) return static_cast<int>(done_);
    }
}

ssize_t PollOperation::send_once() noexcept {
    const int flags = static_cast<int>(flags_);
    if (opcode_ == IORING_OP_SEND) {
        if (address_) return ::sendto(fd_, data_, left_, flags, address_, address_size_);
        return ::send(fd_, data_, left_, flags);
    }
    const ssize_t sent = ::sendmsg(fd_, &message_, flags);
    if (sent > 0) {
        // The first part carries descriptors, once.
        message_.msg_control = nullptr;
        message_.msg_controllen = 0;
    }
    return sent;
}

ssize_t PollOperation::receive_once() noexcept {
    const int flags = static_cast<int>(flags_);
    if (opcode_ == IORING_OP_RECV) return ::recv(fd_, data_, left_, flags);
    const ssize_t received = ::recvmsg(fd_, &message_, flags);
    if (received < 0) return received;
    // The three fields that recvmsg(2) reports; name and control with the first part only.
    if (done_ == 0) {
        if (message_.msg_name) asked_message_->msg_namelen = message_.msg_namelen;
        asked_message_->msg_controllen = message_.msg_controllen;
    }
    asked_message_->msg_flags = message_.msg_flags;
    message_.msg_name = message_.msg_control = nullptr;
    message_.msg_namelen = 0;
    message_.msg_controllen = 0;
    return received;
}

int PollOperation::result_or_wait(int error) const noexcept {
    return error == EAGAIN && !fails_instead_of_waiting() ? -EAGAIN : result_of(error);
}

bool PollOperation::carries_on(std::size_t moved) noexcept {
    done_ += moved;
    if (!wait_all_) return false;
    const bool in_list = opcode_ == IORING_OP_SENDMSG || opcode_ == IORING_OP_RECVMSG;
    // The submitter's iovec list must not change. Without memory for a copy the result is short.
    if (moved < left_ && moved > 0 && in_list && !own_list()) return false;
    left_ -= std::min(moved, left_);
    if (left_ == 0 || moved == 0) return false;
    if (in_list) {
        skip(moved);
    } else {
        data_ += moved;
    }
    return true;
}

bool PollOperation::own_list() noexcept {
    if (owns_list_) return true;
    const std::size_t count = message_.msg_iovlen;
    iovec* own = inline_entries_.data();
    if (count > kInlineEntries) {
        if (count > entries_capacity_) {
            const std::size_t capacity = std::bit_ceil(count);
            entries_.reset(new (std::nothrow) iovec[capacity]);
            entries_capacity_ = entries_ ? capacity : 0;
        }
        own = entries_.get();
        if (!own) return false;
    }
    std::size_t room = wait_all_ ? left_ : SIZE_MAX;
    for (std::size_t i = 0; i < count; ++i) {
        own[i] = message_.msg_iov[i];
        own[i].iov_len = std::min(own[i].iov_len, room);
        room -= own[i].iov_len;
    }
    DCHECK(!wait_all_ || room == 0);
    message_.msg_iov = own;
    owns_list_ = true;
    return true;
}

void PollOperation::skip(std::size_t bytes) noexcept {
    DCHECK(owns_list_);
    while (bytes > 0 || message_.msg_iov->iov_len == 0) {
        iovec& entry = *message_.msg_iov;
        const std::size_t here = std::min(bytes, entry.iov_len);
        entry.iov_base = static_cast<std::byte*>(entry.iov_base) + here;
        entry.iov_len -= here;
        bytes -= here;
        if (entry.iov_len > 0) return;
        DCHECK(message_.msg_iovlen > 1);
        ++message_.msg_iov;
        --message_.msg_iovlen;
    }
}

int PollOperation::attempt_accept() noexcept {
    // accept4(2) has no flag against waiting. The mode stays: restoring it would race with other
    // threads and processes that accept from the same listener, and one of them would then hang.
    const int mode = ::fcntl(fd_, F_GETFL);
    if (mode < 0) return -errno;
    if (!(mode & O_NONBLOCK) && ::fcntl(fd_, F_SETFL, mode | O_NONBLOCK) < 0) return -errno;
    const int accepted = ::accept4(fd_, peer_, peer_size_, static_cast<int>(flags_));
    return accepted < 0 ? -errno : accepted;
}

int PollOperation::attempt_connect() noexcept {
    DCHECK(!fails_instead_of_waiting());
    const int mode = ::fcntl(fd_, F_GETFL);
    if (mode < 0) return -errno;
    const bool blocking = !(mode & O_NONBLOCK);
    if (blocking && ::fcntl(fd_, F_SETFL, mode | O_NONBLOCK) < 0) return -errno;
    // The second call reports the end of the handshake. SO_ERROR would do so too, but only
    // connect(2) makes a refused socket fit for the next try.
    const int error = ::connect(fd_, address_, address_size_) < 0 ? errno : 0;
    // The mode matters only during the call; the handshake goes on without it.
    if (blocking) ::fcntl(fd_, F_SETFL, mode);
    if (error == EINPROGRESS || (error == EALREADY && state_ == State::connecting)) {
        state_ = State::connecting;
        return -EAGAIN;
    }
    if (error == EISCONN && state_ == State::connecting) return 0;
    if (error == EAGAIN) {
        // connect(2): on a unix socket the listener's queue is full, elsewhere it is an error.
        DCHECK(address_ != nullptr);
        state_ = address_->sa_family == AF_UNIX ? State::refused_for_now : State::impatient;
    }
    return -error;
}

int PollOperation::attempt_read() noexcept {
    const int result = read_once(RWF_NOWAIT);
    if (result != -EOPNOTSUPP) return result;
    // Pipes before Linux 6.4, terminals and others do not support RWF_NOWAIT.
    const int ready = ready_events(fd_, POLLIN);
    if (ready < 0) return ready;
    return ready == 0 ? -EAGAIN : read_once(0);
}

int PollOperation::read_once(int flags) noexcept {
    const iovec entry{data_, left_};
    for (;;) {
        const ssize_t taken = ::preadv2(fd_, &entry, 1, static_cast<off_t>(offset_),
                                        flags | static_cast<int>(flags_));
        if (taken >= 0) return static_cast<int>(taken);
        // As for io_uring, the offset has no meaning on an unseekable file; -1 is the current
        // position.
        if (errno == ESPIPE && offset_ != kNoOffset) {
            offset_ = kNoOffset;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

int PollOperation::attempt_poll() const noexcept {
    const int ready = ready_events(fd_, flags_);
    return ready == 0 ? -EAGAIN : ready;
}

int PollOperation::keep() noexcept {
    static_assert(kMaxEntries == IOV_MAX && kInlineEntries < kMaxEntries);
    DCHECK(!is_waiting());
    switch (opcode_) {
        case IORING_OP_CONNECT:
        case IORING_OP_SEND: keep_address(address_, address_size_); return 0;
        case IORING_OP_SENDMSG:
            keep_address(message_.msg_name, message_.msg_namelen);
            return own_list() ? 0 : -ENOMEM;
        case IORING_OP_RECVMSG: return own_list() ? 0 : -ENOMEM;
        default: return 0;
    }
}

template <class T>
void PollOperation::keep_address(T*& address, socklen_t size) noexcept {
    // The system call refuses a longer one.
    if (!address || size > sizeof own_address_) return;
    std::memcpy(&own_address_, address, size);
    address = reinterpret_cast<T*>(&own_address_);
}

int PollOperation::result_of(int error) const noexcept {
    DCHECK(error > 0);
    return done_ > 0 ? static_cast<int>(done_) : -error;
}

PollOperation::Side PollOperation::side() const noexcept {
    switch (opcode_) {
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG:
        case IORING_OP_CONNECT: return Side::writer;
        case IORING_OP_POLL_ADD: return Side::observer;
        default: return Side::reader;
    }
}

std::uint32_t PollOperation::interest() const noexcept {
    constexpr std::uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDNORM | EPOLLRDBAND |
                                      EPOLLWRNORM | EPOLLWRBAND | EPOLLMSG | EPOLLRDHUP;
    switch (side()) {
        case Side::writer: return EPOLLOUT;
        // epoll always reports the last two; named here, they keep the interest from being empty.
        case Side::observer: return (flags_ & kEvents) | EPOLLERR | EPOLLHUP;
        default: return EPOLLIN;
    }
}

bool PollOperation::silent(int result) const noexcept {
    const bool cut_short = wait_all_ && left_ > 0;
    return (sqe_flags_ & IOSQE_CQE_SKIP_SUCCESS) && result >= 0 && !cut_short;
}

}  // namespace uaio
