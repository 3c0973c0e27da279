// The seam between the engine and the kernel that carries its operations out. The layers above fill
// SQEs and read CQEs in a RingView; a Kernel owns that memory and moves entries through it. There
// are three: LinuxKernel (io_uring), PollKernel (epoll and system calls) and SimKernel (memory,
// virtual time and a seed), so the engine and every transport run unchanged on each.
//
// Members are for the engine's thread. Any thread may call now(), wake(), kind() and reason(), and
// the thread that makes or destroys a listener the calls of set-up and tear-down.
#pragma once

#include <uaio/clock.h>
#include <uaio/engine_options.h>

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <system_error>

struct io_uring_buf_ring;
struct io_uring_sqe;
struct io_uring_cqe;

namespace uaio {

// The two rings as the kernel ABI lays them out (io_uring_setup(2)): the engine writes SQEs and
// publishes `*sq_tail`, the kernel moves `*sq_head`; the kernel publishes `*cq_tail`, the engine
// moves `*cq_head`. Slot i of the submission ring is always sqes[i & sq_mask].
struct RingView {
    io_uring_sqe* sqes = nullptr;
    unsigned* sq_head = nullptr;
    unsigned* sq_tail = nullptr;
    unsigned sq_mask = 0;
    io_uring_cqe* cqes = nullptr;
    unsigned* cq_head = nullptr;
    unsigned* cq_tail = nullptr;
    unsigned cq_mask = 0;

    // True if both rings hold a power of two of entries, and no tail is more than a ring ahead of
    // its head. Engine's thread.
    bool is_consistent() const noexcept;
};

// The features of this kernel, found by one probe at its construction (engine/kernel/features.h).
struct Features {
    bool send_zero_copy = false;     // IORING_OP_SEND_ZC, 6.0
    bool sendmsg_zero_copy = false;  // IORING_OP_SENDMSG_ZC, 6.1
    // MSG_WAITALL on a send keeps the partial count when it is cancelled: 6.1, implied by
    // SENDMSG_ZC.
    bool send_waitall = false;
    bool report_zero_copy_usage = false;  // IORING_SEND_ZC_REPORT_USAGE, 6.2
    // SENDMSG_ZC takes a list of entries in registered memory, 6.15.
    bool registered_lists = false;
    bool sq_polled = false;  // a kernel thread reads the submission ring (SQPOLL)
    // The bytes of memory that operations may lock: RLIMIT_MEMLOCK (setrlimit(2)), or no limit.
    std::uint64_t lockable_bytes = std::numeric_limits<std::uint64_t>::max();
    bool calls_on_any_thread = true;  // send_message_at_once() is thread-safe
};

// Identifies a file as long as it is open somewhere: stat(2) st_dev and st_ino. Zero: no file.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;

    bool operator==(const FileIdentity&) const = default;
};

class Kernel {
public:
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;

    const RingView& ring() const noexcept { return ring_; }
    const Features& features() const noexcept { return features_; }
    KernelKind kind() const noexcept { return kind_; }
    // The reason for this kernel, or its limits, in one sentence.
    const std::string& reason() const noexcept { return reason_; }

    // Binds the kernel to the calling thread, once, before the first enter(): an io_uring made with
    // IORING_SETUP_R_DISABLED is enabled here, so that this thread is its single issuer.
    [[nodiscard]] virtual std::error_code bind() noexcept = 0;

    // Takes the published SQEs, then waits until at least `wait` completions are in the ring, until
    // `deadline`, or until wake(); with `wait` 0 it only submits and collects completions. Returns
    // 0, or a negative errno: -EINTR and -ETIME (deadline) are ordinary; -EBUSY and -EAGAIN mean
    // that the caller must take completions out of the ring and enter again; any other ends this
    // ring. Entries that were not taken stay published, so entering again is always right.
    virtual int enter(unsigned wait, Clock::time_point deadline) noexcept = 0;

    // Completes operations that were shut down or cancelled, in the middle of a callback: enter()
    // without a wait. Does nothing where enter() runs actions of the user, which belong between
    // callbacks.
    virtual void settle() noexcept {}

    virtual Clock::time_point now() noexcept = 0;

    // Any thread: makes a waiting or the next waiting enter() return soon. For that the engine
    // keeps a read of wake_fd() in the ring; a kernel without one (-1) needs no waking.
    virtual void wake() noexcept = 0;
    virtual int wake_fd() const noexcept = 0;

    // For Engine::fd(), while no thread is inside enter(): writes `event_fd` whenever a completion
    // is posted; or, where operations complete only inside enter(), does nothing and offers in
    // poll_fd() a descriptor that is readable when enter(0) would have work.
    [[nodiscard]] virtual std::error_code notify(int event_fd) noexcept = 0;
    virtual int poll_fd() const noexcept { return -1; }

    // True while a completion that the kernel holds back (a full completion ring) or deferred work
    // needs an enter(), although the completion ring looks empty.
    virtual bool pending() const noexcept = 0;

    // In a child of fork(2): closes the child's copies of this kernel's own descriptors and touches
    // nothing else, neither memory that is not mapped there nor state that parent and child share.
    // The kernel is neither used nor destroyed afterwards. May not lock, wait or allocate.
    virtual void close_inherited() noexcept {}

    // Registers `size` bytes at `data`, for good, as number `number` of at most `most` (which each
    // call repeats): zero-copy sends may then name them. False where the kernel cannot, such as for
    // a lack of memory that may be locked. On the thread of bind(), or before it.
    virtual bool register_memory(unsigned most, unsigned number, void* data,
                                 std::size_t size) noexcept;

    // Registers `ring` as group `group` of provided buffers: `entries`, a power of two, of
    // page-aligned memory (io_uring_register_buf_ring(3)). Receives with IOSQE_BUFFER_SELECT take
    // their buffer from it when bytes have arrived. False where the kernel cannot. On the thread of
    // bind().
    virtual bool register_buffer_ring(unsigned group, io_uring_buf_ring* ring,
                                      unsigned entries) noexcept;
    // Returns when the kernel uses neither the ring nor its buffers any more. False if it may.
    virtual bool unregister_buffer_ring(unsigned group) noexcept;

    // The calls of set-up and tear-down that do not go through the ring, with the results and the
    // errors of their system calls, but as a negative errno. The defaults are the system calls.
    virtual int socket(int domain, int type, int protocol) noexcept;
    // Another descriptor of the same socket; -EOPNOTSUPP where there is none.
    virtual int duplicate(int fd) noexcept;
    virtual int bind_socket(int fd, const sockaddr* address, socklen_t size) noexcept;
    virtual int listen(int fd, int backlog) noexcept;
    virtual int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept;
    virtual int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept;
    virtual int local_address(int fd, sockaddr* address, socklen_t* size) noexcept;
    virtual int peer_address(int fd, sockaddr* address, socklen_t* size) noexcept;
    virtual int shutdown(int fd, int how) noexcept;
    // Transfers the bytes that need no wait (MSG_DONTWAIT), without an operation: returns the
    // number of bytes, 0 at the end of stream, -EAGAIN if it would have to wait. REQUIRES: `size`,
    // and `limit` below, is not 0.
    virtual std::int64_t send_at_once(int fd, const void* data, std::size_t size) noexcept;
    virtual std::int64_t receive_at_once(int fd, void* data, std::size_t size) noexcept;
    // As send_at_once(), from the buffers of `message`. Any thread, where the features say so.
    virtual std::int64_t send_message_at_once(int fd, const msghdr& message) noexcept;
    // The next result of receive_at_once(), without taking bytes: 1 for bytes, 0 at the end of
    // stream, or its error.
    virtual int peek(int fd) noexcept;
    // As send_at_once(), all of it as one TLS record of type `type`, on a socket that encrypts.
    virtual std::int64_t send_record_at_once(int fd, std::uint8_t type, const void* data,
                                             std::size_t size) noexcept;
    // Drops up to `limit` received bytes without waiting; returns the number, 0 at the end of
    // stream.
    virtual std::int64_t discard_received(int fd, std::size_t limit) noexcept;
    virtual int close(int fd) noexcept;
    // Stores the identity of the file that `path` names, without following symbolic links. Returns
    // 0 or a negative errno.
    virtual int identify_file(const char* path, FileIdentity& file) noexcept;
    // Removes `path` if it still names that file.
    virtual void remove_file(const char* path, const FileIdentity& file) noexcept;
    // Removes the file of a unix socket that refuses connections.
    virtual void remove_stale_socket(const char* path, const sockaddr* address,
                                     socklen_t size) noexcept;

protected:
    Kernel() = default;

    RingView ring_;
    Features features_;
    KernelKind kind_ = KernelKind::io_uring;
    std::string reason_;
};

}  // namespace uaio
