// One operation of a PollKernel: the request of its SQE, in a form that outlives the SQE, its
// progress, and its places in the lists it waits in. attempt() makes the system calls, never
// waiting. Engine's thread.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <liburing.h>

namespace uaio {

class PollOperation {
public:
    // The one of a descriptor's three queues that it waits in. Readers and writers each keep their
    // order; an observer only reads the state, and does not wait for others.
    enum class Side : std::uint8_t { reader, writer, observer };

    // Takes over the request of `sqe`; borrows its iovec list and addresses until keep(). Returns
    // 0, or the negative errno of io_uring for a malformed entry.
    int prepare(const io_uring_sqe& sqe) noexcept;

    // Carries it on as far as it goes at once. Returns the result of the operation, or -EAGAIN: it
    // has to wait for its descriptor. Counts the bytes that it moved, so it can be called again.
    int attempt() noexcept;

    // For a descriptor that epoll cannot watch (epoll_ctl(2): EPERM): carries it out, blocking.
    int attempt_blocking() noexcept;

    // Copies the borrowed list and addresses: io_uring promises that the iovec list, the msghdr and
    // the address may be reused once enter() returned. 0 or -ENOMEM.
    int keep() noexcept;

    // The result when `error` stops it: the bytes it moved, and then the next operation gets the
    // error, else -error.
    int result_of(int error) const noexcept;

    // True between its place in a queue and in the index, and its withdrawal from both.
    bool is_waiting() const noexcept { return link_in_bucket_ != nullptr; }

    std::uint64_t user_data() const noexcept { return user_data_; }
    int fd() const noexcept { return fd_; }
    void move_to(int fd) noexcept { fd_ = fd; }
    Side side() const noexcept;
    // The events that epoll must watch.
    std::uint32_t interest() const noexcept;
    // True for a request that must not wait: -EAGAIN is its result.
    bool fails_instead_of_waiting() const noexcept { return state_ == State::impatient; }
    // True for a connect to a unix socket whose queue is full: epoll does not report room there.
    bool wants_retry() const noexcept { return state_ == State::refused_for_now; }
    // True if its result, unless negative, is a new descriptor.
    bool makes_descriptor() const noexcept { return opcode_ == IORING_OP_ACCEPT; }
    // IOSQE_CQE_SKIP_SUCCESS: true if `result`, neither a failure nor cut short, posts no
    // completion.
    bool silent(int result) const noexcept;

private:
    friend class PollQueue;
    friend class PollIndex;
    friend class PollPool;

    enum class State : std::uint8_t {
        unused,  // in the pool
        ordinary,
        impatient,        // MSG_DONTWAIT, RWF_NOWAIT
        connecting,       // connect(2) is under way
        refused_for_now,  // connect(2) returned EAGAIN
    };

    // More would not fit a completion's result; the kernel's own limit of one transfer.
    static constexpr std::size_t kMaxTransfer = 0x7ffff000;
    static constexpr std::size_t kMaxEntries = 1024;  // IOV_MAX
    static constexpr std::size_t kInlineEntries = 8;
    static constexpr std::uint64_t kNoOffset = ~std::uint64_t{0};

    int prepare_transfer(const io_uring_sqe& sqe) noexcept;
    int prepare_message(const io_uring_sqe& sqe) noexcept;
    int attempt_send() noexcept;
    int attempt_receive() noexcept;
    int attempt_accept() noexcept;
    int attempt_connect() noexcept;
    int attempt_read() noexcept;
    int read_once(int flags) noexcept;
    int attempt_poll() const noexcept;
    ssize_t send_once() noexcept;
    ssize_t receive_once() noexcept;
    int result_or_wait(int error) const noexcept;
    bool carries_on(std::size_t moved) noexcept;
    // Copies the iovec list, of which, with wait_all_, only left_ bytes count. False: no memory.
    bool own_list() noexcept;
    void skip(std::size_t bytes) noexcept;
    template <class T>
    void keep_address(T*& address, socklen_t size) noexcept;

    // Its places: in one queue of its descriptor, and in the index by user_data.
    PollOperation* next_ = nullptr;
    PollOperation* previous_ = nullptr;
    PollOperation* next_in_bucket_ = nullptr;
    PollOperation** link_in_bucket_ = nullptr;

    std::uint64_t user_data_ = 0;
    int fd_ = -1;
    std::uint8_t opcode_ = 0;
    std::uint8_t sqe_flags_ = 0;
    State state_ = State::unused;
    bool wait_all_ = false;      // MSG_WAITALL: not done before left_ is 0
    bool owns_list_ = false;     // message_'s iovec list is a copy
    std::uint32_t flags_ = 0;    // of the system call, or the events of a poll
    std::size_t done_ = 0;       // bytes moved
    std::size_t left_ = 0;       // bytes still to move; of a list only with wait_all_
    std::byte* data_ = nullptr;  // where they are, if not in a list
    std::uint64_t offset_ = 0;

    const sockaddr* address_ = nullptr;  // of a connect or a send
    socklen_t address_size_ = 0;
    sockaddr* peer_ = nullptr;  // where an accept stores the address
    socklen_t* peer_size_ = nullptr;

    msghdr* asked_message_ = nullptr;  // the submitter's, where a receive reports its flags
    msghdr message_{};
    std::array<iovec, kInlineEntries> inline_entries_;
    std::unique_ptr<iovec[]> entries_;  // for longer lists; kept over operations
    std::size_t entries_capacity_ = 0;
    sockaddr_storage own_address_;
};

}  // namespace uaio
