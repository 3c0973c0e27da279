// The parts of an Engine, and its life: the thread that runs it, its end, fork(2), waiting threads.
// Members are for the engine's thread; those that any thread may call stand apart.
#pragma once

#include <uaio/engine.h>

#include "base/check.h"
#include "engine/kernel/kernel.h"
#include "engine/live_engines.h"
#include "engine/locked_memory.h"
#include "engine/loop.h"
#include "engine/resident.h"
#include "engine/shortage.h"
#include "engine/shutdown.h"
#include "engine/thread_binding.h"

#include <atomic>
#include <memory>

namespace uaio {

// The engine whose turn this thread runs, in a callback perhaps of another; null outside a turn.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local const void* engine_here = nullptr;

class EngineCore final : public LiveEngine {
public:
    // `owned` is `kernel`, or null where the kernel outlives the engine.
    EngineCore(Engine& engine, std::unique_ptr<Kernel> owned, Kernel& kernel,
               const EngineOptions& options);
    ~EngineCore();

    static EngineCore& of(const Engine& engine) noexcept { return *engine.core_; }

    void run();
    std::size_t run_once(std::chrono::nanoseconds max_wait);
    // After run(), once: ends pending and later operations with Errc::closed, until leave(). A
    // later operation that completes in the turn that begins it is not cancelled. Objects on the
    // engine can be destroyed meanwhile, and waits end.
    void run_stopped() noexcept;
    // True from run_stopped() on.
    bool is_stopped() const noexcept { return stopped_; }

    Engine& engine() noexcept { return engine_; }
    Loop& loop() noexcept { return loop_; }
    Kernel& kernel() noexcept { return loop_.ring().kernel(); }
    Counters& counters() noexcept { return loop_.counters(); }
    Shortage& shortage() noexcept { return shortage_; }
    LockedMemory& locked() noexcept { return locked_; }
    Residents& residents() noexcept { return residents_; }

    // ---- any thread

    ThreadBinding& thread() noexcept { return thread_; }
    bool on_thread() const noexcept { return thread_.is_here(); }
    bool is_forked() const noexcept { return thread_.is_forked(); }
    bool is_over() const noexcept { return thread_.is_over(); }
    // True inside a turn of `engine` on this thread; false for one that does not exist any more.
    static bool turns_here(const EngineCore& engine) noexcept { return engine_here == &engine; }
    // Throws std::system_error with Errc::engine_lost where no thread runs the engine any more.
    void require_thread() const;

    void post(MailboxEntry& entry) noexcept { loop_.post(entry); }
    void stop() noexcept { loop_.stop(); }
    // Stops the engine, also in run_stopped().
    void leave() noexcept;
    // Adds another thread's request about an operation; without memory, waits for room. Has no
    // effect where no thread runs the engine any more.
    void request(const LateRequest& late) noexcept;

    // Waits until `done` holds. On the engine's thread, or where no thread runs the engine yet,
    // runs the engine meanwhile; in a callback returns Errc::resource_deadlock_would_occur at once.
    // Returns Errc::engine_lost where no thread runs the engine any more, and the errno where the
    // ring failed.
    [[nodiscard]] std::error_code wait(Condition done) noexcept;
    // The same until `deadline`, of the kernel's clock on the engine's thread, of Clock on others.
    // False: `done` does not hold.
    bool wait_until(Condition done, Clock::time_point deadline) noexcept;
    // Waits on another thread than the engine's, also where the ring has failed: an engine that
    // stops still ends what is not in the kernel.
    bool wait_for_thread(Condition done, Clock::time_point deadline) noexcept;
    // Logs that a thread waits for an engine whose thread does not run it.
    void warn_of_long_wait() const noexcept;
    // The time for which a thread waits for the engine before it warns that none runs it: the
    // drain_timeout, or the default one where that is zero, which a running engine cannot meet.
    std::chrono::nanoseconds patience() const noexcept {
        const bool none = options_.drain_timeout <= std::chrono::milliseconds::zero();
        return none ? EngineOptions().drain_timeout : options_.drain_timeout;
    }

    std::int64_t now_ns() noexcept { return loop_.now_ns(); }
    void log(LogLevel level, std::string_view text) const noexcept;
    // Counts and logs a call that the contract forbids; with assertions, stops the program.
    void misuse(const char* what) noexcept;
    // Engine::fd().
    int poll_fd();
    // In a child of fork(2): closes the descriptors of the engine and its residents, if the forking
    // thread ran the engine or no thread did; otherwise their list may be half changed, and they
    // stay open.
    void close_inherited() noexcept override;

private:
    void on_fork() noexcept override;
    void on_thread_end() noexcept override;
    bool bind_here(std::error_code& error) noexcept;
    void bind_or_throw();
    std::size_t turn(std::int64_t until_ns, bool return_early) noexcept;
    void report_failure() noexcept;
    void throw_if_failed() const;
    [[nodiscard]] std::error_code failure() const noexcept;
    void end() noexcept;
    void end_residents() noexcept;
    void drain() noexcept;

    Loop loop_;
    ThreadBinding thread_;

    // Members that only set-up and tear-down touch.
    Engine& engine_;
    std::unique_ptr<Kernel> owned_kernel_;
    EngineOptions options_;
    Residents residents_;
    Shutdown shutdown_;
    Shortage shortage_;
    LockedMemory locked_;
    std::atomic<bool> leave_{false};  // run_stopped() returns
    bool stopped_ = false;            // run_stopped() has begun
    bool failure_reported_ = false;
    bool residents_known_ = false;  // in a child: their list is consistent
};

}  // namespace uaio
