// The provider's side of an Aio: what one writes to add an operation or a stream of one's own; the
// library's own transports use nothing else. A verb calls submit(), which accepts the Aio on any
// thread and runs a starter on the engine's thread; the starter either begins a kernel operation,
// parks the Aio until something else of the provider's makes progress, or finishes it. Everything
// but submit() is for the engine's thread, inside a starter, handler, canceler, callback or posted
// task. The roles are those of nng_aio_begin, nng_aio_defer and nng_aio_finish (nng_aio(5)).
#pragma once

#include <uaio/aio.h>

#include <cstddef>
#include <span>
#include <system_error>

struct io_uring_sqe;

namespace uaio {

// Runs on the engine's thread when an accepted operation starts. Must begin(), park() or finish().
using Starter = void (*)(Aio&) noexcept;

// A Handler is called with every completion of the Aio's kernel operation: `result` and `flags` are
// the CQE's (io_uring_enter(2)). It returns pending after it began or parked the Aio again, or
// while the kernel announced another completion (IORING_CQE_F_MORE); finished when the operation
// ended, after set_error() if it failed. A Canceler is called at most once an operation, when a
// parked Aio is cancelled, aborted or timed out, or its engine ends; it finishes the Aio with
// cancel_reason(), or leaves it to end.

namespace provider {

// Accepts `aio` for an operation of `owner`, an object on `engine`, and lets `starter` run: at once
// on the engine's thread, through its mailbox from another. Any thread. What is refused still ends
// by callback: an Aio of another engine with ArgumentErrc::wrong_engine, without the starter
// running; a stopped() or expired() one as its starter says, or, if that did not ask, by being
// cancelled right behind it. `argument` is for the starter, see argument(). A busy Aio is left
// alone; that is misuse, counted and logged. False then, and where no thread will run the engine
// any more (Errc::engine_lost): then the starter does not run.
bool submit(Engine& engine, Aio& aio, Starter starter, void* owner,
            void* argument = nullptr) noexcept;

// Hands out the next submission entry, tagged as this Aio's. REQUIRES: filled by one of liburing's
// io_uring_prep_ functions before anything else is asked of the engine; its user_data is not
// touched. Completions go to `handler`; a cancel becomes an IORING_OP_ASYNC_CANCEL, or withdraws
// the entry if the kernel has not taken it. May submit to the kernel if the ring is full; cannot
// fail.
io_uring_sqe& begin(Aio& aio, Handler handler) noexcept;

// Holds the Aio without a kernel operation; a cancel, abort or timeout calls `canceler`, and so
// does the end of the engine, with Errc::closed as the reason. What `canceler` needs has to live as
// long as the Aio is parked.
void park(Aio& aio, Canceler canceler) noexcept;

// Ends an Aio that is not in the kernel: its callback runs later in the same turn.
void finish(Aio& aio, std::error_code error = {}) noexcept;

// Passes an accepted Aio on to a layer below: `verb`, a void(), calls that layer's verb with it,
// which becomes the Aio's owner. What it has counted so far, its cursor, its deadline and what was
// asked of it stay; its end is no longer this provider's to see. REQUIRES: neither in the kernel
// nor in a queue; `verb` submits it, once, before it does anything else.
void expect_hand_on(Aio& aio) noexcept;
template <class Verb>
void hand_on(Aio& aio, Verb verb) noexcept {
    expect_hand_on(aio);
    verb();
}

// What finish() or Outcome::finished will report. Until then no error.
void set_error(Aio& aio, std::error_code error) noexcept;

// Adds transferred bytes to count() and moves the cursor over them.
void advance(Aio& aio, std::size_t bytes) noexcept;

// The vector from the current position on; valid until the Aio advances or ends.
IovCursor& cursor(Aio& aio) noexcept;

// The reason of the cancel that was asked of this operation; no error if none was.
std::error_code cancel_reason(const Aio& aio) noexcept;

// True when the Aio was stopped: finish it with Errc::canceled before anything is transferred.
bool stopped(const Aio& aio) noexcept;

// True when the operation's deadline is not after its submission or has passed: finish it with
// Errc::timed_out before anything is transferred.
bool expired(const Aio& aio) noexcept;

// Asks for an accepted operation to end with `reason`, as Aio::abort does, at once.
void cancel(Aio& aio, std::error_code reason) noexcept;

void* owner(const Aio& aio) noexcept;

// What submit() was given. In the starter only, before it writes to scratch().
void* argument(const Aio& aio) noexcept;

// 32 bytes inside the Aio, the provider's from starter to finish, not initialised.
std::span<std::byte, 32> scratch(Aio& aio) noexcept;

}  // namespace provider

// A first-in first-out queue of accepted Aios, linked through them: no allocation, removal
// anywhere. An Aio may be in one queue at a time, from its starter on; it may stay there while it
// is in the kernel, and has to be taken out before it ends. Engine's thread only.
class AioQueue {
public:
    bool empty() const noexcept { return front_ == nullptr; }
    Aio* front() const noexcept { return front_; }
    // The one behind `aio`, nullptr for the last. REQUIRES: in this queue.
    static Aio* next(const Aio& aio) noexcept { return of(aio.mail_.next); }

    // REQUIRES: in no queue.
    void push(Aio& aio) noexcept {
        aio.mail_.next = nullptr;
        aio.previous_ = back_;
        if (back_) {
            back_->mail_.next = &aio.mail_;
        } else {
            front_ = &aio;
        }
        back_ = &aio;
    }

    // REQUIRES: in this queue.
    void remove(Aio& aio) noexcept {
        Aio* const behind = next(aio);
        if (aio.previous_) {
            aio.previous_->mail_.next = aio.mail_.next;
        } else {
            front_ = behind;
        }
        (behind ? behind->previous_ : back_) = aio.previous_;
    }

    // The front, taken out; nullptr if empty.
    Aio* pop() noexcept {
        Aio* const front = front_;
        if (front) remove(*front);
        return front;
    }

private:
    friend class EngineCore;

    // The Aio that holds a link.
    static Aio* of(MailboxEntry* entry) noexcept {
        if (!entry) return nullptr;
        return reinterpret_cast<Aio*>(reinterpret_cast<std::byte*>(entry) - offsetof(Aio, mail_));
    }

    Aio* front_ = nullptr;
    Aio* back_ = nullptr;
};

}  // namespace uaio
