// What an Engine consists of: the rings, the timers, the mailbox and the dispatch of completions.
// The public classes are thin covers of this one. Members are for the engine's thread; those that
// any thread may call stand apart and say so.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/foreign_loop.h"
#include "engine/kernel/inherited.h"
#include "engine/kernel/kernel.h"
#include "engine/live_engines.h"
#include "engine/mailbox.h"
#include "engine/shortage.h"
#include "engine/statistics.h"
#include "engine/timer_queue.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

namespace uaio {

// Something that holds descriptors or Aios on an engine and has to let go when the engine ends: a
// socket, a listener. It is registered as long as it exists.
class Resident {
public:
    // Ends every operation it holds with Errc::closed and starts closing its descriptors.
    virtual void begin_shutdown() noexcept = 0;
    // True when the kernel has nothing of it any more, and no Aio of it is still to come back.
    virtual bool is_idle() const noexcept = 0;
    // The engine is gone: only the memory is left, to be freed by whoever holds the object.
    virtual void engine_destroyed() noexcept = 0;
    // In a child of fork(2): closes the child's copies of its descriptors, and touches nothing that
    // the parent has as well.
    virtual void close_inherited() noexcept {}

protected:
    ~Resident() = default;

private:
    friend class EngineCore;
    Resident* next_resident_ = nullptr;
    Resident** previous_resident_ = nullptr;
};

// Its address names the thread: one instruction, where pthread_self(3) is a call.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local char thread_token = 0;

// What thread_ holds when no thread will run the engine any more.
inline char forked_mark = 0;        // this process is a child of the one that made it
inline char thread_ended_mark = 0;  // the thread that ran it has ended

class EngineCore final : public LiveEngine {
public:
    // `owned` is `kernel`, or nothing where the kernel outlives the engine.
    EngineCore(Engine& engine, std::unique_ptr<Kernel> owned, Kernel& kernel,
               const EngineOptions& options);
    ~EngineCore();

    static EngineCore& of(const Engine& engine) noexcept { return *engine.core_; }
    static EngineCore& of(const Aio& aio) noexcept { return of(*aio.engine_); }

    // --- The loop (loop.cc) ---
    void run();
    std::size_t run_once(std::chrono::nanoseconds max_wait);

    // --- Operations, see provider.h (operation.cc) ---
    io_uring_sqe& begin(Aio& aio, Handler handler) noexcept;
    void park(Aio& aio, Canceler canceler) noexcept;
    // As above, for a holder that is no Resident: the end of the engine finds the Aio.
    void park_to_be_found(Aio& aio, Canceler canceler) noexcept;
    void finish(Aio& aio, std::error_code error) noexcept;
    // The next submit() of this Aio, on this thread and before it is asked anything else, passes it
    // on: another owner and starter, and everything else of the running operation stays.
    void expect_hand_on(Aio& aio) noexcept { handed_on_ = &aio; }
    // Another vector for a running operation that has not begun to transfer.
    static std::error_code replace_iov(Aio& aio, std::span<const iovec> entries) noexcept {
        return aio.assign(entries);
    }
    // Makes the operation end at that time of now(), if its deadline is later; without effect on
    // one that has ended.
    void limit_deadline(Aio& aio, std::int64_t deadline_ns) noexcept {
        if (aio.timer_.deadline_ns > deadline_ns) replace_deadline(aio, deadline_ns);
    }
    // The same, be its deadline earlier or later; TimerNode::kNoDeadline takes it away.
    void replace_deadline(Aio& aio, std::int64_t deadline_ns) noexcept;
    static bool has_deadline(const Aio& aio) noexcept {
        return aio.timer_.deadline_ns != TimerNode::kNoDeadline;
    }
    void cancel_here(Aio& aio, std::error_code reason) noexcept;
    // Ends the Aio's kernel operation early without a reason of its own: the handler decides.
    void interrupt(Aio& aio) noexcept;
    static void set_error(Aio& aio, std::error_code error) noexcept {
        aio.result_ = error;
        aio.ended_early_ = true;
    }
    static void advance(Aio& aio, std::size_t bytes) noexcept {
        aio.count_ += bytes;
        aio.cursor_.advance(bytes);
    }
    // advance() for an operation that ends with these bytes: nobody asks its cursor any more.
    static void add_count(Aio& aio, std::size_t bytes) noexcept { aio.count_ += bytes; }
    static IovCursor& cursor(Aio& aio) noexcept { return aio.cursor_; }
    static std::error_code cancel_reason(const Aio& aio) noexcept { return aio.reason_; }
    static bool stopped(const Aio& aio) noexcept {
        return aio.stop_.load(std::memory_order_relaxed) != Aio::Stop::none;
    }
    static bool expired(const Aio& aio) noexcept {
        return aio.timer_.deadline_ns != TimerNode::kNoDeadline && !aio.timer_.previous;
    }
    static void* owner(const Aio& aio) noexcept { return aio.owner_; }
    static void* argument(const Aio& aio) noexcept {
        void* argument = nullptr;
        std::memcpy(&argument, aio.scratch_, sizeof argument);
        return argument;
    }
    static std::span<std::byte, 32> scratch(Aio& aio) noexcept {
        return std::span<std::byte, 32>(aio.scratch_);
    }
    // Zero-copy sends of this Aio whose notification is still to come.
    static std::uint16_t& notifications(Aio& aio) noexcept { return aio.notifications_; }

    // Lets the kernel complete at once what was asked to end, on a kernel that can; the callbacks
    // still come in their turn. False if an operation of `aios` is still in the kernel.
    bool settle(const AioQueue& aios) noexcept;
    // Work was added outside a submit(): a foreign loop has to run this engine.
    void announce_work() noexcept {
        if (!in_turn_ && foreign_loop_.is_open()) foreign_loop_.signal();
    }

    void add_resident(Resident& resident) noexcept;
    void remove_resident(Resident& resident) noexcept;

    Kernel& kernel() noexcept { return *kernel_; }
    const Features& features() const noexcept { return kernel_->features(); }
    Counters& counters() noexcept { return counters_; }
    Shortage& shortage() noexcept { return shortage_; }
    Engine& engine() noexcept { return engine_; }

    // --- Any thread ---
    static bool submit(Engine& target, Aio& aio, Starter starter, void* owner,
                       void* argument = nullptr) noexcept;
    void request_cancel(Aio& aio, std::error_code reason) noexcept;
    void stop_aio(Aio& aio) noexcept;
    // For ~Aio, of a busy one: ends it and what its callback submits; returns as wait() does.
    std::error_code stop_and_wait(Aio& aio) noexcept;
    void forget(Aio& aio) noexcept;  // before its memory goes: drops cancels still on their way
    void post(MailboxEntry& entry) noexcept;
    void stop() noexcept;
    bool busy(const Aio& aio) const noexcept;
    std::error_code wait(Aio& aio) noexcept;
    // See CrossThreadCall.
    bool post_and_wait(MailboxEntry& entry, const std::atomic<bool>& done) noexcept;
    void notify_waiters() noexcept;
    bool wait_until(Aio& aio, Clock::time_point deadline) noexcept;
    void misuse(const char* what) noexcept;
    std::int64_t now_ns() noexcept { return kernel_->now().time_since_epoch().count(); }
    void log(LogLevel level, std::string_view text) const noexcept;
    EngineStatistics statistics() const noexcept;
    int loop_fd();
    // True while a thread runs it.
    bool is_bound() const noexcept {
        return thread_.load(std::memory_order_acquire) != nullptr && !is_over();
    }
    // True in a child of the process that made it: nothing may be asked of it, and its locks may be
    // held for ever.
    bool is_forked() const noexcept {
        return thread_.load(std::memory_order_acquire) == &forked_mark;
    }
    // True when no thread runs it any more, nor will.
    bool is_over() const noexcept {
        const char* const thread = thread_.load(std::memory_order_acquire);
        return thread == &forked_mark || thread == &thread_ended_mark;
    }
    // Throws std::system_error with Errc::engine_lost where no thread runs the engine any more.
    void require_thread() const;
    // On the engine's thread, behind run(): what is pending and what comes ends with Errc::closed,
    // until leave(). Objects on the engine can be destroyed meanwhile, and waits end.
    void run_stopped() noexcept;
    // On the engine's thread: it runs as stopped.
    bool is_stopped() const noexcept { return stopped_; }
    // Any thread. Stops the engine, also when it runs as stopped.
    void leave() noexcept;
    // In a child: closes what it and its residents have open, if the thread that forked could have
    // changed those; on another one they may be half changed, and stay open.
    void close_inherited() noexcept override;
    // Runs `work` while no thread can begin to run the engine; false, without it, if one has.
    template <class Work>
    bool run_if_unbound(Work work) {
        if (is_over()) return false;
        const std::lock_guard lock(bind_mutex_);
        if (is_bound()) return false;
        work();
        return true;
    }
    std::chrono::nanoseconds drain_timeout() const noexcept { return options_.drain_timeout; }
    bool on_thread() const noexcept {
        return thread_.load(std::memory_order_relaxed) == &thread_token;
    }

private:
    // The low six bits of user_data; the rest is the address of an Aio, which is 64-byte aligned,
    // and, in the upper 16 bits, which Linux leaves free in user addresses, its generation.
    enum class Tag : std::uint64_t { aio, withdrawn, wake, ignored };

    struct Completion {  // a CQE
        std::uint64_t user_data;
        int result;
        unsigned flags;
    };

    struct CancelRequest {
        Aio* aio;
        std::uint32_t generation;
        std::error_code reason;
        bool any_generation = false;  // whichever operation runs when the request arrives
    };

    static std::uint64_t user_data_of(const Aio& aio) noexcept {
        const std::uint64_t generation = aio.generation_.load(std::memory_order_relaxed);
        return reinterpret_cast<std::uintptr_t>(&aio) | generation << 48;
    }
    static Aio* aio_of(TimerNode& node) noexcept {
        return reinterpret_cast<Aio*>(reinterpret_cast<std::byte*>(&node) - offsetof(Aio, timer_));
    }
    static void deliver_operation(MailboxEntry& entry) noexcept;
    static void start_on_wrong_engine(Aio& aio) noexcept;

    bool submit_otherwise(Engine& target, Aio& aio, Starter starter, void* owner,
                          void* argument) noexcept;
    void send_cancel(const CancelRequest& request) noexcept;
    bool queue_cancel(const CancelRequest& request) noexcept;
    void request_stop(Aio& aio, std::error_code reason) noexcept;
    void on_fork() noexcept override;
    void on_thread_end() noexcept override;
    void refuse_when_over(Aio& aio) noexcept;
    bool bind_here(std::error_code& error) noexcept;
    template <class Wait>
    std::error_code wait_elsewhere(const Aio& aio, Wait wait) noexcept;
    bool withdraw_mail(const MailboxEntry& entry) noexcept;
    void warn_of_long_wait() const noexcept;
    void bind_or_throw();
    bool runs_here(std::error_code& error) noexcept;
    std::size_t turn(std::int64_t until_ns, bool return_early) noexcept;
    void start(Aio& aio, Starter starter) noexcept;
    bool deliver_mail() noexcept;
    void deliver_cancels() noexcept;
    void expire_timers() noexcept;
    void enter(unsigned wait, std::int64_t deadline_ns) noexcept;
    bool may_sleep() noexcept;
    void leave_turn() noexcept;
    bool is_idle() const noexcept;
    void wake() noexcept;
    void wake_if_asleep() noexcept;
    void throw_if_failed();
    std::error_code failure() const noexcept;  // why the ring ended
    static void take_over(Aio& aio, void* owner, void* argument) noexcept;
    void accept(Aio& aio, void* owner, void* argument) noexcept;
    [[gnu::noinline]] void accept_deadline(Aio& aio) noexcept;
    void start_special(Aio& aio, Starter starter) noexcept;
    void start_checked(Aio& aio, Starter starter) noexcept;
    void take_completions() noexcept;
    void hand_back_completions() noexcept;
    unsigned completion_tail() const noexcept;
    std::size_t dispatch_completions() noexcept;
    bool dispatch(Completion completion) noexcept;
    bool dispatch_tagged(Completion completion) noexcept;
    std::size_t dispatch_finished() noexcept;
    void call_back(Aio& aio) noexcept;
    void arm_wake() noexcept;
    void drain() noexcept;
    void shut_down_residents() noexcept;
    void cancel_all() noexcept;
    void end_parked() noexcept;
    void detach_residents() noexcept;

    io_uring_sqe& next_sqe() noexcept;  // cannot fail; see make_room()
    void make_room() noexcept;
    bool unconsumed(unsigned position) const noexcept;
    bool is_completed(const Aio& aio) const noexcept;
    bool work_waits() const noexcept;
    void disarm(Aio& aio) noexcept {
        if (aio.has_deadline_.load(std::memory_order_relaxed) && aio.timer_.previous) {
            timers_.disarm(aio.timer_);
        }
    }

    // What every operation touches.
    RingView ring_;
    unsigned tail_ = 0;       // of the submission ring, published before every enter
    unsigned published_ = 0;  // the tail that the kernel may see
    unsigned head_ = 0;       // of the submission ring, as last read: the kernel's is not behind
    Kernel* kernel_;
    AioQueue finished_;  // ended without a completion; their callbacks are due
    std::atomic<const Aio*> in_callback_{nullptr};
    Counters counters_;
    unsigned cq_head_ =
        0;  // of the completion ring: what is dispatched; the kernel learns it later
    // Completions that had to be taken out of the ring in the middle of a callback, in order; the
    // last ready_left_ are still to be dispatched, before those in the ring.
    std::vector<Completion> ready_;
    std::size_t ready_left_ = 0;
    TimerQueue timers_;
    std::atomic<int> failure_{0};  // the negative errno that ended the ring
    // What the loop is going through, for a fork in a callback: the child goes through none of it.
    AioQueue* finishing_ = nullptr;
    MailboxEntry* mail_left_ = nullptr;

    // What other threads touch.
    alignas(64) Mailbox mailbox_;
    std::atomic<bool> sleeping_{false};
    std::atomic<bool> stop_{false};
    std::atomic<bool> leave_{false};  // run_stopped() is to return
    std::atomic<unsigned> waiters_{0};
    std::atomic<unsigned> cancels_pending_{0};
    std::mutex cancel_mutex_;
    std::vector<CancelRequest> cancels_;  // by cancel_mutex_
    std::mutex wait_mutex_;
    std::condition_variable wait_condition_;
    std::mutex bind_mutex_;
    std::atomic<const char*> thread_{
        nullptr};  // the engine's, by its token; nullptr: not bound yet

    // What only set-up and tear-down touch.
    Engine& engine_;
    std::unique_ptr<Kernel> owned_kernel_;
    EngineOptions options_;
    const Aio* handed_on_ = nullptr;
    bool in_turn_ = false;
    bool draining_ = false;
    bool stopped_ = false;          // in run_stopped()
    std::uint64_t wake_value_ = 0;  // where the kernel reads the wake-up to
    Resident* residents_ = nullptr;
    Shortage shortage_;
    ForeignLoop foreign_loop_;
    InheritedKernel inherited_;     // takes the place of the other one in a child
    bool residents_known_ = false;  // in a child: the list of them is whole
};

// --- What every operation goes through, open to the compiler ---

inline bool EngineCore::submit(Engine& target, Aio& aio, Starter starter, void* owner,
                               void* argument) noexcept {
    EngineCore& core = of(aio);
    const bool usual = core.on_thread() && &target == aio.engine_ &&
                       aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::idle;
    if (!usual) [[unlikely]]
        return core.submit_otherwise(target, aio, starter, owner, argument);
    aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
    core.accept(aio, owner, argument);
    core.start(aio, starter);
    if (!core.in_turn_ && core.foreign_loop_.is_open()) [[unlikely]]
        core.foreign_loop_.signal();
    return true;
}

inline void EngineCore::accept(Aio& aio, void* owner, void* argument) noexcept {
    const std::uint32_t generation = aio.generation_.load(std::memory_order_relaxed);
    aio.generation_.store(generation + 1, std::memory_order_release);
    aio.owner_ = owner;
    std::memcpy(aio.scratch_, &argument, sizeof argument);
    aio.count_ = 0;
    if (aio.ended_early_) [[unlikely]] {
        aio.ended_early_ = false;
        aio.result_.clear();
        aio.reason_.clear();
    }
    if (aio.has_deadline_.load(std::memory_order_relaxed)) accept_deadline(aio);
}

inline void EngineCore::start(Aio& aio, Starter starter) noexcept {
    counters_.begun.add();
    if (aio.has_deadline_.load(std::memory_order_relaxed) || stopped(aio)) [[unlikely]]
        return start_special(aio, starter);
    starter(aio);
}

inline void EngineCore::park(Aio& aio, Canceler canceler) noexcept {
    DCHECK(aio.phase_.load(std::memory_order_relaxed) == Aio::Phase::active);
    aio.canceler_ = canceler;
}

}  // namespace uaio
