// The kernel behind the ring where io_uring is refused: containers with a strict seccomp profile,
// old kernels. It takes the same SQEs and carries them out with epoll and system calls, inside
// enter(), on the engine's thread: it attempts each at once, and queues one that would have to wait
// on its descriptor, in order, until epoll reports it ready.
//
// It supports NOP, SEND, SENDMSG, RECV, RECVMSG, ACCEPT, CONNECT, SHUTDOWN, CLOSE, READ, one-shot
// POLL_ADD, and ASYNC_CANCEL by user_data, by descriptor and of everything. Anything else completes
// with -EINVAL, as from an io_uring that is older than the operation: zero copy, multishot, linked,
// provided buffers, registered files. MSG_NOSIGNAL is implied.
//
// Visible differences: operations on one side of a descriptor keep their order; a listener becomes
// non-blocking at its first ACCEPT. An operation holds its file, as in io_uring, if the descriptor
// is closed by a CLOSE or by close() of this kernel; descriptors that came from its ACCEPT or
// socket() must be closed in one of these ways.
#pragma once

#include "engine/kernel/kernel.h"
#include "engine/kernel/memory_ring.h"
#include "engine/kernel/poll/poll_descriptors.h"
#include "engine/kernel/poll/poll_lists.h"

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace uaio {

class PollKernel final : public Kernel {
public:
    // `reason`: why not io_uring, a sentence for Engine::kernel_reason(). Throws std::system_error
    // with cause and remedy when descriptors run out, and std::bad_alloc.
    PollKernel(const EngineOptions& options, std::string reason);
    ~PollKernel() override = default;

    std::error_code bind() noexcept override;
    int enter(unsigned wait, Clock::time_point deadline) noexcept override;
    void settle() noexcept override { enter(0, {}); }
    Clock::time_point now() noexcept override { return Clock::now(); }
    // Ends a wait even while no operation reads wake_fd().
    void wake() noexcept override;
    int wake_fd() const noexcept override { return wake_.get(); }
    // Nothing completes outside enter(), so there is nothing to announce: see poll_fd().
    std::error_code notify(int) noexcept override { return {}; }
    // The epoll set, which is readable while it holds an event that enter(0) would handle.
    int poll_fd() const noexcept override { return epoll_.get(); }
    bool pending() const noexcept override { return memory_.overflowed(); }
    void close_inherited() noexcept override;

    int socket(int domain, int type, int protocol) noexcept override;
    int close(int fd) noexcept override;

private:
    class OwnedFd {
    public:
        explicit OwnedFd(int fd = -1) noexcept : fd_(fd) {}
        ~OwnedFd();
        OwnedFd(const OwnedFd&) = delete;
        OwnedFd& operator=(const OwnedFd&) = delete;
        void reset(int fd) noexcept;
        int get() const noexcept { return fd_; }

    private:
        int fd_;
    };

    using Side = PollOperation::Side;

    // Events taken out of epoll by one system call.
    static constexpr std::size_t kBatch = 256;
    // The interval at which a connect to a unix listener with a full queue is retried.
    static constexpr std::chrono::nanoseconds kRetryInterval = std::chrono::milliseconds(2);

    bool invariants_hold() const noexcept;
    bool take_submissions() noexcept;
    void carry_out(const io_uring_sqe& sqe) noexcept;
    void start(const io_uring_sqe& sqe) noexcept;
    bool park(PollOperation& operation, int& result) noexcept;
    void withdraw(PollOperation& operation) noexcept;
    void end(PollOperation& operation, int result) noexcept;
    void answer(const io_uring_sqe& sqe, int result) noexcept;

    int collect(std::optional<std::chrono::nanoseconds> max_wait) noexcept;
    int wait_in_epoll(std::optional<std::chrono::nanoseconds> max_wait) noexcept;
    void handle(const epoll_event& event) noexcept;
    void carry_on(int fd, Side side) noexcept;
    void observe(int fd) noexcept;

    int cancel(const io_uring_sqe& sqe) noexcept;
    int cancel_by_user_data(std::uint64_t user_data, bool all) noexcept;
    int cancel_descriptor(int fd, bool all) noexcept;

    bool on_thread() const noexcept {
        return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }
    void adopt(int fd) noexcept;
    bool retry_later(PollOperation& operation) noexcept;
    void set_retry_timer(std::chrono::nanoseconds interval) noexcept;
    void retry() noexcept;

    MemoryRing memory_;
    OwnedFd epoll_;
    OwnedFd wake_;
    OwnedFd retry_timer_;  // made when first needed
    PollPool pool_;        // owns the operations that the two below link
    PollIndex waiting_;
    PollDescriptors descriptors_;
    std::vector<PollOperation*> retries_;  // waiting operations with wants_retry()
    // The thread that runs enter(). Other threads may make and close a listener's socket; they
    // leave the table of descriptors alone.
    std::atomic<std::thread::id> thread_{};
    bool precise_ = true;  // epoll_pwait2(2) is available: Linux 5.11
    bool woken_ = false;   // wake() was called while wake_fd() was unread
    std::array<epoll_event, kBatch> events_;
};

}  // namespace uaio
