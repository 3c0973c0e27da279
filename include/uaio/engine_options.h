// The options of an Engine: which kernel carries its operations out, the sizes of its rings, and
// where its messages go. Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

// gcc's gnu++ dialects predefine this word as 1, which would make KernelKind::linux a syntax error.
#ifdef linux
#undef linux
#endif

namespace uaio {

// What stands behind the ring. automatic: linux where the kernel allows it, else poll.
enum class KernelKind {
    automatic,
    linux,  // io_uring
    poll,   // epoll and system calls: for containers and kernels that refuse io_uring
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
    // Which kernel; the environment variable UAIO_KERNEL (linux or poll) decides an `automatic`.
    KernelKind kernel = KernelKind::automatic;
    // A kernel thread reads the submission ring (IORING_SETUP_SQPOLL) and sleeps after so many
    // milliseconds without work; 0 is off, the default. It burns a core, and deferred completion
    // work (IORING_SETUP_DEFER_TASKRUN) is not to be had with it.
    unsigned submission_poll_ms = 0;
    // How long the destructor waits for the kernel to give back what is in flight.
    std::chrono::milliseconds drain_timeout{2000};
    // Called with a complete sentence about misuse or trouble, in place of the default, which
    // writes warnings and errors to standard error, a line each, and of the same sentence at most
    // five in ten seconds. Any thread; must not throw.
    std::function<void(LogLevel, std::string_view)> log;
};

}  // namespace uaio
