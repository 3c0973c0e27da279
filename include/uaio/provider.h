// The provider's side of an Aio: the interface for an operation or a stream of one's own, through
// which the library's own operations start, wait and end as well. A verb calls submit(), which
// accepts the Aio on any thread and runs a starter on the engine's thread; the starter begins a
// kernel operation, parks the Aio until the provider makes progress elsewhere, or finishes it.
// Apart from submit(), and from what another thread does with an Aio that it accepted, all members
// are for the engine's thread, inside a starter, handler, canceler, callback or posted task. The
// roles are those of nng_aio_begin, nng_aio_defer and nng_aio_finish (nng_aio(5)).
#pragma once

#include <uaio/aio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>

struct io_uring_sqe;

namespace uaio {

// Runs on the engine's thread when an accepted operation starts. Must begin(), park() or finish().
using Starter = void (*)(Aio&) noexcept;

// A Handler runs for every completion of the Aio's kernel operation: `result` and `flags` are those
// of the CQE (io_uring_enter(2)). It returns pending after it began or parked the Aio again, or
// while the kernel announced another completion (IORING_CQE_F_MORE); finished when the operation
// has ended, after set_error() if it failed: with the cancel_reason() if there is one, and with
// Errc::closed for -ECANCELED without one, by which the end of the engine ends it. A Canceler runs
// when a parked Aio is cancelled, aborted or timed out, or its engine ends; it finishes the Aio
// with cancel_reason(), or leaves it to end later, and may destroy other Aios that are idle. It
// runs once, unless it parks the Aio again: then it runs again after 1 ms, 2 ms and so on up to 128
// ms.

class Provider {
public:
    Provider() = delete;

    // ---- life of an operation

    // Accepts `aio` for an operation of `owner`, an object on `engine`, and runs `starter`: at once
    // on the engine's thread, through its mailbox from another. Any thread. A refused operation
    // still ends by callback: an Aio of another engine with ArgumentErrc::wrong_engine, without
    // running the starter; a stopped() or expired() one as its starter decides, or, if the starter
    // does not check, by a cancel right after it. The starter gets `argument` from argument().
    // Returns false, without running the starter, for a busy Aio, which does not change (misuse,
    // counted and logged), and where no thread will run the engine any more (result() is
    // Errc::engine_lost).
    static bool submit(Engine& engine, Aio& aio, Starter starter, void* owner,
                       void* argument = nullptr) noexcept;

    // Returns the next submission queue entry, whose completions go to `kHandler`. REQUIRES: one of
    // liburing's io_uring_prep_ functions fills it before any other call into the engine; the
    // caller does not touch user_data, and sets no flag but IOSQE_ASYNC: IOSQE_CQE_SKIP_SUCCESS,
    // for one, leaves the Aio pending for ever. A cancel becomes an IORING_OP_ASYNC_CANCEL, or
    // withdraws the entry if the kernel has not taken it. Submits to the kernel if the ring is
    // full; cannot fail.
    template <Handler kHandler>
    static io_uring_sqe& begin(Aio& aio) noexcept {
        return begin(aio, [](Completion& completion, int result, unsigned flags) noexcept {
            return kHandler(Aio::of(completion), result, flags);
        });
    }

    // Holds the Aio without a kernel operation. A cancel, abort or timeout calls `canceler`, and so
    // does the end of the engine, with Errc::closed as the reason. Objects that `canceler` uses
    // must live as long as the Aio is parked.
    static void park(Aio& aio, Canceler canceler) noexcept;
    // The same, but the end of the engine does not find the Aio: for a provider that ends it when
    // the engine closes the provider.
    static void park_untracked(Aio& aio, Canceler canceler) noexcept { aio.canceler_ = canceler; }

    // Ends an Aio that is not in the kernel: its callback runs in this turn or the next, never
    // inside this call.
    static void finish(Aio& aio, std::error_code error = {}) noexcept;

    // Passes an accepted Aio to a layer below: `verb`, a void(), calls that layer's verb with it,
    // and that layer becomes the Aio's owner. Its count so far, its cursor, its deadline and a
    // stop() stay; this provider gets no notice of its end. REQUIRES: neither in the kernel nor in
    // a queue; `verb` submits it, once, before it does anything else.
    template <class Verb>
    static void forward(Aio& aio, Verb verb) noexcept {
        prepare_forward(aio);
        verb();
    }

    // ---- operations that another thread than the engine's begins or completes

    // Accepts `aio` for an operation of `owner` that this thread begins itself, and then passes on
    // by post() or completes by finish_elsewhere(). Until then the Aio, with the members for
    // progress below, is this thread's, and a cancel waits. Another thread than the engine's.
    // False, without effect, for a busy Aio. REQUIRES: the engine does not end before post() or
    // finish_elsewhere() has returned.
    static bool accept_elsewhere(Aio& aio, void* owner) noexcept;
    // Passes it to the engine's thread, which runs `starter`; its count so far stays. The thread
    // that accepted it, once.
    static void post(Aio& aio, Starter starter) noexcept;
    // Completes it with its count so far; `error` may be none. Its user may destroy it before this
    // returns. The thread that accepted it, once. REQUIRES: it has no callback.
    static void finish_elsewhere(Aio& aio, std::error_code error) noexcept;
    // False if its deadline has passed. The thread that accepted it.
    static bool is_before_deadline(const Aio& aio) noexcept;
    // True if its end runs a callback, for which it must be posted. As for finish_elsewhere().
    static bool has_callback(const Aio& aio) noexcept {
        return aio.completion_.finish != &Aio::finish_silently;
    }

    // ---- progress and result

    // Sets the error that finish() or Outcome::finished will report; none by default.
    static void set_error(Aio& aio, std::error_code error) noexcept {
        aio.result_ = error;
        aio.ended_early_ = true;
    }
    // Adds transferred bytes, at most those left, to count() and moves the cursor over them.
    static void advance(Aio& aio, std::size_t bytes) noexcept {
        aio.count_ += bytes;
        aio.cursor_.advance(bytes);
    }
    // Adds to count() alone: for an operation that ends with these bytes.
    static void add_count(Aio& aio, std::size_t bytes) noexcept { aio.count_ += bytes; }
    // The buffers from the current position on; valid until the Aio advances or ends.
    static IovCursor& cursor(Aio& aio) noexcept { return aio.cursor_; }
    // Replaces the buffers of an operation that has transferred nothing yet, with the ownership and
    // the errors of Aio::set_iov().
    [[nodiscard]] static std::error_code replace_iov(Aio& aio,
                                                     std::span<const iovec> entries) noexcept {
        return aio.assign(entries);
    }

    // ---- cancels and deadlines

    // The reason of this operation's cancel; no error if it was not cancelled.
    [[nodiscard]] static std::error_code cancel_reason(const Aio& aio) noexcept {
        return aio.reason_;
    }
    // True when the Aio was stopped: finish it with Errc::canceled before anything is transferred.
    static bool stopped(const Aio& aio) noexcept {
        return aio.stop_.load(std::memory_order_relaxed) != Aio::Stop::none;
    }
    // True when the operation's deadline is not after its submission or has passed: finish it with
    // Errc::timed_out before anything is transferred.
    static bool expired(const Aio& aio) noexcept {
        return has_deadline(aio) && !aio.timer_.previous;
    }
    static bool has_deadline(const Aio& aio) noexcept {
        return aio.timer_.deadline_ns != TimerNode::kNoDeadline;
    }
    // Moves the deadline of a running operation to `deadline_ns`, nanoseconds of Engine::now(), if
    // its own is later; a negative one has passed already, as 0 has. Has no effect on one that has
    // ended or was cancelled.
    static void limit_deadline(Aio& aio, std::int64_t deadline_ns) noexcept {
        if (aio.timer_.deadline_ns > std::max<std::int64_t>(deadline_ns, 0))
            replace_deadline(aio, deadline_ns);
    }
    // The same whether its own is earlier or later; TimerNode::kNoDeadline removes it.
    static void replace_deadline(Aio& aio, std::int64_t deadline_ns) noexcept;
    // Cancels an accepted operation at once with `reason`, an error, as Aio::abort() does.
    static void cancel(Aio& aio, std::error_code reason) noexcept;
    // Cancels the Aio's kernel operation without a reason: its handler decides the result.
    // REQUIRES: in the kernel.
    static void interrupt(Aio& aio) noexcept;

    // ---- the provider's data

    static void* owner(const Aio& aio) noexcept { return aio.owner_; }
    // The argument of submit(). In the starter only, before it writes to scratch().
    static void* argument(const Aio& aio) noexcept {
        void* argument = nullptr;
        std::memcpy(&argument, aio.scratch_, sizeof argument);
        return argument;
    }
    // 32 bytes inside the Aio for the provider, from starter to finish, not initialised.
    static std::span<std::byte, 32> scratch(Aio& aio) noexcept {
        return std::span<std::byte, 32>(aio.scratch_);
    }
    // A counter inside the Aio, 0 at the start of an operation and at its end: zero-copy sends
    // whose notification has not arrived (io_uring_prep_send_zc(3)).
    static std::uint16_t& notifications(Aio& aio) noexcept { return aio.notifications_; }
    // The engine's part of the Aio.
    static const Completion& completion(const Aio& aio) noexcept { return aio.completion_; }

private:
    friend class Aio;
    friend class UsualStart;  // the library's own

    static io_uring_sqe& begin(Aio& aio, Completion::Handler handler) noexcept;
    static void prepare_forward(Aio& aio) noexcept;
    static bool submit_otherwise(Engine& target, Aio& aio, Starter starter, void* owner,
                                 void* argument) noexcept;
    static void accept(Aio& aio, void* owner, void* argument) noexcept;
    static void forget_end(Aio& aio) noexcept;
    static bool accept_deadline(Aio& aio) noexcept;
    static void read_deadline(Aio& aio) noexcept;
    static void start(Aio& aio, Starter starter) noexcept;
    static void ask_to_end(Aio& aio) noexcept;
    static void ask_again_later(Aio& aio) noexcept;
    static void start_special(Aio& aio, Starter starter) noexcept;
    static void deliver(MailboxEntry& entry) noexcept;
    static void take_over(Aio& aio, Starter starter, void* owner, void* argument) noexcept;
    static void refuse_when_over(Aio& aio) noexcept;
    static void start_on_wrong_engine(Aio& aio) noexcept;
};

// A first-in first-out queue of accepted Aios, linked through them: no allocation, removal
// anywhere. An Aio may be in one queue at a time, from its starter on; it may stay there while it
// is in the kernel, and must be removed before it ends. Engine's thread only.
class AioQueue {
public:
    bool empty() const noexcept { return front_ == nullptr; }
    Aio* front() const noexcept { return front_; }
    // The Aio behind `aio`, nullptr for the last. REQUIRES: in this queue.
    static Aio* next(const Aio& aio) noexcept { return of(aio.completion_.mail.next); }

    // REQUIRES: in no queue.
    void push(Aio& aio) noexcept {
        aio.completion_.mail.next = nullptr;
        aio.previous_ = back_;
        if (back_) {
            back_->completion_.mail.next = &aio.completion_.mail;
        } else {
            front_ = &aio;
        }
        back_ = &aio;
    }

    // REQUIRES: in no queue.
    void push_front(Aio& aio) noexcept {
        aio.completion_.mail.next = front_ ? &front_->completion_.mail : nullptr;
        aio.previous_ = nullptr;
        (front_ ? front_->previous_ : back_) = &aio;
        front_ = &aio;
    }

    // REQUIRES: in this queue.
    void remove(Aio& aio) noexcept {
        Aio* const behind = next(aio);
        if (aio.previous_) {
            aio.previous_->completion_.mail.next = aio.completion_.mail.next;
        } else {
            front_ = behind;
        }
        (behind ? behind->previous_ : back_) = aio.previous_;
    }

    // push() on an empty queue, and the remove() of the only Aio.
    void push_only(Aio& aio) noexcept {
        aio.completion_.mail.next = nullptr;
        aio.previous_ = nullptr;
        front_ = back_ = &aio;
    }
    void remove_only() noexcept { front_ = back_ = nullptr; }

    // Removes and returns the front; nullptr if empty.
    Aio* pop() noexcept {
        Aio* const front = front_;
        if (front) remove(*front);
        return front;
    }

private:
    // An Aio begins with its Completion, and that with its link.
    static Aio* of(MailboxEntry* entry) noexcept { return reinterpret_cast<Aio*>(entry); }

    Aio* front_ = nullptr;
    Aio* back_ = nullptr;
};

}  // namespace uaio
