// The real io_uring. Uses one issuing thread with deferred completion work where the kernel has it
// (6.1), cooperative completion work on older kernels (5.19), and throws with the likely cause on
// still older ones. Threads: see Kernel.
#pragma once

#include "engine/kernel/kernel.h"

#include <thread>

#include <liburing.h>

namespace uaio {

class LinuxKernel final : public Kernel {
public:
    // Throws std::system_error that says why io_uring is unavailable, and the remedy.
    explicit LinuxKernel(const EngineOptions& options);
    ~LinuxKernel() override;

    std::error_code bind() noexcept override;
    int enter(unsigned wait, Clock::time_point deadline) noexcept override;
    void settle() noexcept override { enter(0, {}); }
    Clock::time_point now() noexcept override { return Clock::now(); }
    void wake() noexcept override;
    int wake_fd() const noexcept override { return wake_fd_; }
    std::error_code notify(int event_fd) noexcept override;
    bool pending() const noexcept override;
    void close_inherited() noexcept override;
    bool register_memory(unsigned most, unsigned number, void* data,
                         std::size_t size) noexcept override;
    bool register_buffer_ring(unsigned group, io_uring_buf_ring* ring,
                              unsigned entries) noexcept override;
    bool unregister_buffer_ring(unsigned group) noexcept override;

private:
    void make_ring(const EngineOptions& options);
    void try_calls();
    void view_ring() noexcept;
    unsigned sq_head() const noexcept;

    io_uring uring_{};
    int wake_fd_ = -1;
    int enter_fd_ = -1;  // the ring, or its index among the thread's registered rings
    unsigned enter_flags_ = 0;
    std::thread::id thread_;         // after bind()
    bool disabled_ = false;          // made with IORING_SETUP_R_DISABLED, until bind()
    bool registers_memory_ = false;  // the table of register_memory() is there
    bool absolute_timer_ = false;    // enter takes a point in time, not a duration
};

}  // namespace uaio
