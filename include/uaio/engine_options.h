// The options of an Engine: which kernel carries its operations out, the sizes of its rings, and
// where its messages go. Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

namespace uaio {

// Which kernel interface an engine uses. automatic: io_uring where the system allows it, else
// epoll.
enum class KernelKind {
    automatic,
    io_uring,  // io_uring(7)
    epoll,     // epoll(7) and system calls: for containers and kernels that refuse io_uring
};

// How serious a message to the log hook is.
enum class LogLevel { info, warning, error };

struct EngineOptions {
    // Submission entries, rounded up to a power of two, 1 to 32768. If the memory lock limit
    // (RLIMIT_MEMLOCK) does not allow that many, they are halved until it does, and
    // Engine::kernel_reason() says so.
    unsigned entries = 256;
    // Completion entries, rounded up to a power of two and to at least 2 * entries. More
    // completions than that are kept by the kernel, at a cost.
    unsigned completions = 4096;
    // The environment variable UAIO_KERNEL (io_uring or epoll) replaces `automatic`; any other
    // value makes the constructor throw std::system_error (ArgumentErrc::invalid_option).
    KernelKind kernel = KernelKind::automatic;
    // A kernel thread reads the submission ring (IORING_SETUP_SQPOLL) and sleeps after so many
    // milliseconds without work; 0 is off, the default. It occupies a core, and
    // excludes deferred completion work (IORING_SETUP_DEFER_TASKRUN).
    unsigned submission_poll_ms = 0;
    // How long the destructor waits for the kernel to give back what is in flight.
    std::chrono::milliseconds drain_timeout{2000};
    // Called with a complete sentence about misuse or trouble, in place of the default, which
    // writes warnings and errors to standard error, a line each, and of the same sentence at most
    // five in ten seconds. Any thread; must not throw.
    std::function<void(LogLevel, std::string_view)> log;
};

}  // namespace uaio
