// An Engine drives Aios: it owns one io_uring and belongs to the thread that first runs it. The
// loop makes one system call a turn, which submits everything and collects completions. Members
// that any thread may call say so; all others are for the engine's thread.
//
// When the thread that runs an engine ends, the engine ends with it: it does what its destructor
// does. The main thread is the exception, since the process ends with it. Afterwards the engine
// refuses submissions: each is counted as misuse and logged, but does not abort a debug build, no
// callback runs, and Aio::result() and wait() return Errc::engine_lost. Constructors of listeners,
// servers and other objects on the engine throw std::system_error with that code.
//
// fork(2): an engine stays with the process that made it. In a child run() and run_once() throw,
// submissions are refused as above, Aio::wait() returns Errc::engine_lost for operations that were
// under way, and cancel(), stop() and posts have no effect. Any thread may destroy the parent's
// objects there, at exit(3) as well: destructors do not wait, they close the child's copies of
// descriptors, and do not affect the parent's connections, the files of its unix sockets or its
// threads. Their memory stays allocated. A child that continues makes its own engines; see
// Engine::notify_fork_child(). In a child that is forked inside a callback and returns from it,
// run() throws Errc::engine_lost. On an EngineThread this ends the thread without a message, and as
// it is the child's only thread, the child exits with status 0: call exec(3) or _exit(2) inside the
// callback. vfork(2), posix_spawn(3) and exec(3) need nothing: all descriptors are close-on-exec.
// _Fork(3) and clone(2) run no handlers: call nothing but exec after them.
#pragma once

#include <uaio/clock.h>
#include <uaio/engine_options.h>
#include <uaio/nodes.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

namespace uaio {

class Buffers;
class Engine;
class EngineCore;
class SimKernel;

// Counts since the engine was made. The engine's thread alone writes them, without locked
// instructions, except direct_writes, wakes and misuse; counts that another thread reads may be a
// turn apart.
struct EngineStatistics {
    std::uint64_t turns = 0;
    std::uint64_t enters = 0;            // system calls that submitted or waited
    std::uint64_t submissions = 0;       // SQEs
    std::uint64_t completions = 0;       // CQEs
    std::uint64_t operations = 0;        // Aios whose callback became due
    std::uint64_t short_writes = 0;      // writes whose rest was submitted again
    std::uint64_t gathered_writes = 0;   // queued writes that left in a send with others
    std::uint64_t direct_writes = 0;     // sent by other threads; not among the operations
    std::uint64_t cancels = 0;           // requests that reached an operation
    std::uint64_t timeouts = 0;          // of those, by a deadline
    std::uint64_t posts = 0;             // mailbox entries delivered
    std::uint64_t wakes = 0;             // times another thread woke the sleeping engine
    std::uint64_t full_rings = 0;        // submissions in mid-turn because the ring was full
    std::uint64_t zero_copy_sends = 0;   // sends begun with IORING_OP_SEND_ZC or SENDMSG_ZC
    std::uint64_t zero_copy_copied = 0;  // of those, copied by the kernel after all
    std::uint64_t registered_sends = 0;  // zero-copy sends from memory of Engine::buffers()
    std::uint64_t accept_pauses = 0;     // times an accept found no descriptor or memory and waited
    // Wrong calls, such as a verb on a busy Aio: a library built without NDEBUG aborts there. Also
    // submissions that were refused with Errc::engine_lost, where no build aborts.
    std::uint64_t misuse = 0;
    std::uint64_t in_flight = 0;  // operations started and not yet called back, now
};

class Engine {
public:
    // Makes a ring (Linux 5.19 or later), or, with KernelKind::automatic and io_uring refused, an
    // epoll set. Throws std::system_error whose what() names the likely cause (sysctl, seccomp,
    // memory lock limit, kernel version) and the remedy. Any thread, also another than the one that
    // will run it.
    explicit Engine(const EngineOptions& options = {});
    // An engine on a simulated kernel, which must outlive it; for tests (<uaio/sim.h>).
    explicit Engine(SimKernel& kernel, const EngineOptions& options = {});
    // On the engine's thread, or when no thread ever ran it or that thread has ended. Closes the
    // objects on the engine, cancels the operations of other providers (Errc::closed), ends all
    // operations by their callbacks and waits up to drain_timeout for the kernel and for operations
    // that their canceler did not end. Aios must be destroyed before it returns. Constructors,
    // verbs, waits and posts of other threads that use the engine must have returned before it is
    // called; the destructor of a busy Aio need only have begun. Other objects on the engine may be
    // closed and destroyed on any thread meanwhile or afterwards; their verbs end afterwards with
    // Errc::closed, on the engine of the Aio.
    ~Engine();

    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Runs turns until stop(); returns at once if stopped already. Binds the engine to this thread.
    // Throws std::system_error: Errc::resource_deadlock_would_occur on any other thread than the
    // one it is bound to, or inside a callback; Errc::engine_lost where that thread has ended, and
    // in a child of fork(2); the errno if the ring itself fails.
    void run();

    // One turn: delivers posts, expires deadlines, submits, waits up to `max_wait` if nothing was
    // posted and nothing is ready (zero or less polls; kNoTimeout waits for ever), runs callbacks,
    // and submits their operations. Returns the number of completions handled, tasks not counted.
    // Binds and throws like run().
    std::size_t run_once(std::chrono::nanoseconds max_wait);

    // Makes run() return after the current turn, for good. Any thread. Operations on a plain Engine
    // stay pending until its thread calls run_once(), destroys the engine or ends; wait() and
    // destructors on other threads block until then, and destructors log a warning after
    // EngineOptions::drain_timeout. An EngineThread closes streams and listeners, and cancels
    // pending and later operations with Errc::closed; a later operation may succeed if it completes
    // at once.
    void stop() noexcept;

    // Runs `task`, a void() that must not throw, on the engine's thread, in the order of one
    // thread's posts and verbs. Any thread. Allocates; throws std::bad_alloc. The destructor of the
    // engine runs tasks that still wait. Where no thread will run the engine any more (see above)
    // the task is destroyed instead, and that is logged.
    template <class F>
    void post(F task);

    // For a foreign loop (epoll, libuv, asio): a descriptor that is readable when run_once(0) has
    // work, deadlines included. The engine owns and closes it. The first call makes it, on the
    // engine's thread or before it runs; from then on each completion costs a notification. -1 on a
    // SimKernel. The first call throws std::system_error when descriptors run out, with the limit
    // to raise; any call, Errc::engine_lost where no thread runs the engine any more.
    int fd() const;

    // Registered memory (<uaio/buffers.h>), from which zero-copy sends cost least. Engine's thread,
    // or before the engine runs. Valid as long as the engine.
    Buffers& buffers() noexcept;

    // The time that deadlines are compared with: CLOCK_MONOTONIC, virtual on a SimKernel. Any
    // thread.
    Clock::time_point now() const noexcept;

    // The kernel interface in use, and the reason for it, a sentence valid as long as the engine.
    // Any thread.
    KernelKind kernel() const noexcept;
    std::string_view kernel_reason() const noexcept;

    // Any thread.
    EngineStatistics statistics() const noexcept;

    // True on the thread that runs this engine. Any thread.
    bool on_engine_thread() const noexcept;

    // For a child of fork(2) that continues without exec, such as that of daemon(3), or a
    // pre-forked worker: closes its copies of the sockets of each engine that it inherited and that
    // the forking thread, or no thread, ran. (The socket list of an engine that another thread ran
    // may be half changed: each Stream and Listener closes its own copy when it is destroyed.)
    // Without this call a connection that the parent closes by dying stays open in the child. No
    // effect on the parent, nor in a process that inherited no engine. Any thread.
    static void notify_fork_child() noexcept;

private:
    friend class EngineCore;

    struct Task : MailboxEntry {
        virtual ~Task() = default;
        virtual void run() = 0;
    };
    void post_task(std::unique_ptr<Task> task) noexcept;

    std::unique_ptr<EngineCore> core_;
};

template <class F>
void Engine::post(F task) {
    struct Stored final : Task {
        explicit Stored(F&& function) : function_(std::move(function)) {}
        void run() override { function_(); }
        F function_;
    };
    post_task(std::make_unique<Stored>(std::move(task)));
}

}  // namespace uaio
