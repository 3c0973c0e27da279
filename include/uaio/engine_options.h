// The options of an Engine: its kernel interface, the sizes of its rings, and its log hook. Any
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

namespace uaio {

// The kernel interface of an engine. automatic: io_uring where the system allows it, else epoll.
enum class KernelKind {
    automatic,
    io_uring,  // io_uring(7)
    epoll,     // epoll(7) and system calls: for containers and kernels that refuse io_uring
};

// The severity of a message to the log hook.
enum class LogLevel { info, warning, error };

struct EngineOptions {
    // Submission queue entries, rounded up to a power of two, 1 to 32768; a value out of that range
    // means its nearer end, here and in `completions`. If the memory lock limit (RLIMIT_MEMLOCK) is
    // too low for them, the engine halves them down to 8 until they fit, and
    // Engine::kernel_reason() says so.
    unsigned entries = 256;
    // Completion queue entries, rounded up to a power of two, from 2 * entries to 65536. The kernel
    // keeps further completions outside the ring, at a cost (IORING_FEAT_NODROP).
    unsigned completions = 4096;
    // The environment variable UAIO_KERNEL (io_uring or epoll; empty is ignored) replaces
    // `automatic`; any other value makes the constructor throw std::system_error
    // (ArgumentErrc::invalid_option).
    KernelKind kernel = KernelKind::automatic;
    // A kernel thread reads the submission ring (IORING_SETUP_SQPOLL) and sleeps after this many
    // milliseconds without work; 0 is off, the default. It occupies a core, and excludes deferred
    // completion work (IORING_SETUP_DEFER_TASKRUN). No effect on epoll.
    unsigned submission_poll_ms = 0;
    // The longest time that the destructor waits for operations in flight; negative means zero.
    // Other threads' destructors that wait for the engine log a warning after this time, and that
    // of a listener returns then; after 2 s if it is zero.
    std::chrono::milliseconds drain_timeout{2000};
    // Called with a complete sentence about misuse or trouble, valid during the call. Replaces the
    // default, which writes warnings and errors to standard error, a line each, and of the same
    // sentence at most five in ten seconds. Any thread; must not throw.
    std::function<void(LogLevel, std::string_view)> log;
};

}  // namespace uaio
