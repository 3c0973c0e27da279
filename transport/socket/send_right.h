// The right to send on a socket: of the engine's thread, which has it while writes are queued, or
// of another thread that writes to the idle socket itself, without a turn of the engine. At most
// one of them has it. Writes that other threads have posted, and that have not arrived at the
// engine, keep threads from it, so that the writes of a thread stay in order. One word, without a
// lock: a thread that does not get the right posts its write, and the engine does not wait for a
// thread that has it, but gets mail when it has sent. tests/transport/socket/send_right_test.cc
// explores every interleaving.
#pragma once

#include "base/check.h"

#include <atomic>
#include <cstdint>

namespace uaio {

class SendRight {
public:
    // ---- the engine's thread

    bool is_engines() const noexcept { return holder(load()) == kEngine; }
    // Takes the right. False if another thread has it: that thread returns it by mail, for which
    // regain() is due.
    bool take() noexcept {
        std::uint32_t word = load();
        for (;;) {
            const std::uint32_t before = holder(word);
            if (before == kEngine || before == kAwaited) return before == kEngine;
            const std::uint32_t next = word - before + (before == kFree ? kEngine : kAwaited);
            if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel))
                return before == kFree;
        }
    }
    // The mail of the thread that had the right has arrived.
    void regain() noexcept {
        [[maybe_unused]] const std::uint32_t before =
            word_.fetch_and(~kHolderMask, std::memory_order_acq_rel);
        DCHECK(holder(before) == kOther || holder(before) == kAwaited);
    }
    // A posted write has arrived; takes the right, in the same step: once the write is not counted
    // any more, its thread could otherwise send the next one before it. As take().
    bool arrived() noexcept {
        std::uint32_t word = load();
        for (;;) {
            DCHECK(word >= kPosted);
            const std::uint32_t before = holder(word);
            const bool owned = before == kEngine || before == kFree;
            const std::uint32_t next = word - kPosted - before + (owned ? kEngine : kAwaited);
            if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) return owned;
        }
    }
    // Lets other threads have the right, when all posted writes have arrived. REQUIRES: it is the
    // engine's, and no write is queued.
    void offer() noexcept {
        DCHECK(is_engines());
        word_.fetch_add(kFree - kEngine, std::memory_order_release);
    }

    // ---- another thread, for each write

    // With `may_send`, takes the right if it is free and no posted write is on its way. True:
    // this thread sends, then calls leave() or posts the rest of the write, which regains the right
    // for the engine. False: counts the write, which this thread now posts.
    bool enter(bool may_send) noexcept {
        std::uint32_t word = load();
        for (;;) {
            const bool enters = may_send && word == kFree;
            const std::uint32_t next = enters ? kOther : word + kPosted;
            if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) return enters;
        }
    }
    // After enter() returned false: the write was refused, and not posted.
    void withdraw() noexcept {
        [[maybe_unused]] const std::uint32_t before =
            word_.fetch_sub(kPosted, std::memory_order_relaxed);
        DCHECK(before >= kPosted);
    }
    // Gives the right back. False: the engine awaits it, by mail.
    bool leave() noexcept {
        std::uint32_t word = load();
        for (;;) {
            DCHECK(holder(word) == kOther || holder(word) == kAwaited);
            if (holder(word) == kAwaited) return false;
            const std::uint32_t next = word - kOther + kFree;
            if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) return true;
        }
    }

private:
    // The two low bits; the rest counts posted writes.
    static constexpr std::uint32_t kEngine = 0;
    static constexpr std::uint32_t kFree = 1;
    static constexpr std::uint32_t kOther = 2;    // another thread
    static constexpr std::uint32_t kAwaited = 3;  // another thread, and the engine awaits it
    static constexpr std::uint32_t kHolderMask = 3;
    static constexpr std::uint32_t kPosted = 4;
    static_assert(std::atomic<std::uint32_t>::is_always_lock_free,
                  "a child of fork(2) may not lock");

    static std::uint32_t holder(std::uint32_t word) noexcept { return word & kHolderMask; }
    std::uint32_t load() const noexcept { return word_.load(std::memory_order_relaxed); }

    std::atomic<std::uint32_t> word_{kFree};
};

}  // namespace uaio
