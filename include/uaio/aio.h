// An Aio is one asynchronous operation, owned by its user and reused for ever: an iovec list to
// transfer, a deadline, a cancel, a callback, and afterwards a result and an exact count. A verb
// (`stream.write_all(aio)`) accepts it and returns at once; the callback runs later, exactly once
// per accepted operation, on the engine's thread. Members that any thread may call say so; only the
// owner of an idle Aio may call the others. The semantics are those that nng_aio(5) promises; the
// members name the differences.
#pragma once

#include <uaio/clock.h>
#include <uaio/config.h>
#include <uaio/error.h>
#include <uaio/iov_cursor.h>
#include <uaio/nodes.h>

#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

namespace uaio {

class Aio;
class Engine;

using Handler = Outcome (*)(Aio&, int result, unsigned flags) noexcept;  // see provider.h
using Canceler = void (*)(Aio&) noexcept;                                // see provider.h

// Neither copied nor moved: the engine and the kernel refer to its address while an operation runs.
class alignas(64) Aio {
public:
    // An Aio of `engine`, which must outlive it. Without a callback, wait() or co_await reports the
    // end. Any thread.
    explicit Aio(Engine& engine) noexcept : engine_(&engine) {
        completion_.finish = &finish_silently;
        completion_.generation.store(first_generation(), std::memory_order_relaxed);
        timer_.expire = &expire;
    }

    // As above, with `callback`, a void(Aio&) that runs on the engine's thread at the end of every
    // operation, never inside the call that submitted or cancelled it. The Aio stores it (at most
    // four pointers, checked at compile time). It must not throw (std::terminate()), and may submit
    // this Aio again or destroy it. When it starts, result and count are final, and the Aio and its
    // buffers belong to the user again.
    template <class F>
    requires std::is_invocable_v<F&, Aio&> Aio(Engine& engine, F callback);

    // The Aio should be idle, or inside its own callback. A busy one is stopped, its operation ends
    // with Errc::closed, and the destructor waits for the callback, as nng_aio_free does;
    // operations that the callback submits end without a callback. Inside another callback or a
    // posted task, where waiting is impossible, and where the engine's thread has ended, destroying
    // a busy Aio stops the program with a message: stop() it earlier instead. Where the ring has
    // failed (Engine::run()), operations in the kernel never end, and their Aios must stay. Any
    // thread.
    ~Aio();

    Aio(const Aio&) = delete;
    Aio& operator=(const Aio&) = delete;

    // Sets the iovec list of the next operations: copies the entries, borrows the buffers until the
    // callback. At most 1024 entries (IOV_MAX); more is Errc::invalid_argument. Up to `inline_iov`
    // entries (a build option, 8) are stored inside; more cost one allocation, which the Aio keeps
    // for later lists; if it fails the error is Errc::not_enough_memory. After an error the old
    // list stays. The verb checks the entries. On a busy Aio nothing changes: the error is
    // Errc::invalid_argument, and the call counts as misuse (EngineStatistics::misuse).
    [[nodiscard]] std::error_code set_iov(std::span<const iovec> entries) noexcept;
    // The same for one entry of `size` bytes at `data`, which cannot fail. On a busy Aio nothing
    // changes, and the call counts as misuse.
    void set_iov(const void* data, std::size_t size) noexcept {
        if (phase_.load(std::memory_order_relaxed) != Phase::idle) [[unlikely]]
            return report_busy();
        iovec* const entry = on_heap() ? cursor_.base() : inline_iov_;
        *entry = {const_cast<void*>(data), size};
        cursor_.assign(entry, 1);
    }

    // Total time for each later operation, counted from its submission, waiting in a queue
    // included. Persists; kNoTimeout removes it. Zero or less: the operation completes with
    // Errc::timed_out, transfers nothing, and does not harm the connection. May be called while an
    // operation runs, unless its callback submits again, and never changes that operation.
    void set_timeout(std::chrono::nanoseconds timeout) noexcept;
    // A point in time of Engine::now() for the next operation only, in place of the timeout. One
    // that has passed acts like a timeout of zero. On a busy Aio it has no effect and counts as
    // misuse.
    void set_deadline(Clock::time_point deadline) noexcept;

    // Requests that the running operation end with Errc::canceled. Any thread. The kernel's
    // completion decides: an operation that completes nevertheless reports success and its full
    // count, and one cut short reports the bytes it transferred. Only the first request of an
    // operation counts. Idle or completed: no effect. From another thread than the engine's it
    // takes a lock, wakes the engine, and allocates where more than 64 such requests wait; without
    // memory for that it waits for the engine's next turn.
    void cancel() noexcept;
    // cancel() with a reason of the caller's own. A reason without an error has no effect and
    // counts as misuse. Any thread.
    void abort(std::error_code reason) noexcept;
    // cancel(); every later operation ends with Errc::canceled by its callback, for good. Any
    // thread.
    void stop() noexcept;

    // True while an operation or its callback runs. Any thread.
    bool busy() const noexcept;

    // Blocks until the operation and its callback are done; if the callback submits again, until
    // the chain ends. Returns result(). On the engine's own thread it runs the engine meanwhile; if
    // no thread has run the engine yet, it binds it to this one. Inside a callback or a posted task
    // it returns Errc::resource_deadlock_would_occur at once. If no thread runs the engine any more
    // it returns Errc::engine_lost, and if the ring failed, the errno. Any thread.
    [[nodiscard]] std::error_code wait() noexcept;
    // The same until `deadline`, which is compared with Engine::now() on the engine's thread, with
    // Clock::now() on others. Returns false if the Aio is still busy then, and at once where wait()
    // would return an error of the engine.
    bool wait_until(Clock::time_point deadline) noexcept;

    // The error with which the last operation ended; no error while one is pending.
    [[nodiscard]] std::error_code result() const noexcept { return result_; }

    // Bytes that the last operation transferred, exact after errors too: cancel, timeout, reset and
    // close (nng's manual promises this, but nng reports 0). Unspecified while one is pending.
    std::size_t count() const noexcept { return count_; }

    Engine& engine() const noexcept { return *engine_; }

private:
    friend class Provider;
    friend class AioQueue;
    friend class UsualStart;  // the library's own

    enum class Phase : std::uint8_t {
        idle,        // owned by the user
        posted,      // accepted on another thread, in the mailbox
        active,      // with a provider: queued, parked or in the kernel
        forwarding,  // active, and about to be submitted to another provider
        finished,    // ended; its callback has not run yet
    };

    enum class Stop : std::uint8_t {
        none,
        stopped,    // each later operation is canceled
        destroyed,  // by ~Aio, which waits: later operations also end without a callback
    };

    // Random, so that a late cancel does not match a new Aio at the address of an earlier one.
    static std::uint32_t first_generation() noexcept;
    static Aio& of(Completion& completion) noexcept { return reinterpret_cast<Aio&>(completion); }
    static void expire(TimerNode& node, std::error_code reason) noexcept;
    static void finish_silently(Completion& completion) noexcept { of(completion).become_idle(); }
    template <class F>
    static void finish_by(Completion& completion) noexcept {
        Aio& aio = of(completion);
        aio.become_idle();
        (*std::launder(reinterpret_cast<F*>(aio.callback_)))(aio);
    }
    // After this the user may submit the Aio again or destroy it.
    void become_idle() noexcept {
        if (has_deadline_.load(std::memory_order_relaxed)) [[unlikely]]
            disarm();
        cursor_.rewind();
        phase_.store(Phase::idle, std::memory_order_release);
    }
    void disarm() noexcept;
    bool on_heap() const noexcept { return capacity_ > kInlineIov; }  // the entries
    void report_busy() noexcept;
    // set_iov(), busy or not.
    [[nodiscard]] std::error_code assign(std::span<const iovec> entries) noexcept;
    void request_cancel(std::error_code reason) noexcept;
    void request_stop(std::error_code reason) noexcept;
    static bool deliver_cancel(Completion& completion, std::error_code reason) noexcept;
    [[nodiscard]] std::error_code stop_and_wait() noexcept;

    static constexpr std::size_t kCallbackSize = 4 * sizeof(void*);
    static constexpr std::size_t kScratchSize = 32;

    // Members that submission and completion touch come first.
    Completion completion_;  // the engine's; its link is also that of AioQueue
    Engine* engine_;
    Aio* previous_ = nullptr;
    void* owner_ = nullptr;  // the provider's object that runs the operation
    std::size_t count_ = 0;
    std::atomic<Phase> phase_{Phase::idle};
    std::atomic<Stop> stop_{Stop::none};
    // True if there is a timeout, or a deadline for the next operation. Atomic since set_timeout()
    // may run while the engine's thread reads it for the running one.
    std::atomic<bool> has_deadline_{false};
    bool ended_early_ : 1 = false;         // the last operation left a result or a reason to clear
    bool deadline_set_ : 1 = false;        // by set_deadline(), for the next operation
    std::uint8_t repeats_ : 4 = 0;         // repeats of this operation's cancel
    std::uint16_t notifications_ = 0;      // zero-copy sends whose bytes the kernel still holds
    std::uint16_t capacity_ = kInlineIov;  // entries that fit; more than kInlineIov: on the heap
    IovCursor cursor_;
    std::error_code result_;
    Canceler canceler_ = nullptr;  // set exactly while parked; while posted, the starter
    alignas(void*) std::byte callback_[kCallbackSize];
    alignas(void*) std::byte scratch_[kScratchSize];  // the provider's
    // Members that only deadlines and cancels touch.
    std::error_code reason_;  // of the first cancel of this operation
    std::chrono::nanoseconds timeout_ = kNoTimeout;
    TimerNode timer_;
    void (*destroy_)(void* callback) noexcept = nullptr;
    iovec inline_iov_[kInlineIov];
};

static_assert(kInlineIov != 8 || sizeof(Aio) <= 384, "the hot lines of an Aio must stay few");

template <class F>
requires std::is_invocable_v<F&, Aio&> Aio::Aio(Engine& engine, F callback) : Aio(engine) {
    static_assert(sizeof(F) <= kCallbackSize && alignof(F) <= alignof(void*),
                  "an Aio holds a callback of up to four pointers: capture less, or a reference");
    ::new (static_cast<void*>(callback_)) F(std::move(callback));
    completion_.finish = &finish_by<F>;
    if constexpr (!std::is_trivially_destructible_v<F>) {
        destroy_ = [](void* stored) noexcept { static_cast<F*>(stored)->~F(); };
    }
}

}  // namespace uaio
