// The posts of other threads to an engine: a stack that any thread pushes to and the engine's
// thread takes whole, in the order of arrival. No lock, no allocation.
#pragma once

#include <uaio/nodes.h>

#include "base/check.h"

#include <atomic>

namespace uaio {

class Mailbox {
public:
    // Any thread. True if the mailbox was empty: only then may its owner sleep without having seen
    // an entry.
    bool push(MailboxEntry& entry) noexcept {
        MailboxEntry* top = top_.load(std::memory_order_relaxed);
        do {
            DCHECK(top != &entry);  // posted already
            entry.next = top;
        } while (!top_.compare_exchange_weak(top, &entry, std::memory_order_acq_rel,
                                             std::memory_order_relaxed));
        return top == nullptr;
    }

    bool empty() const noexcept { return top_.load(std::memory_order_acquire) == nullptr; }

    // Owner's thread: takes all entries, the oldest first, linked by `next`.
    MailboxEntry* take() noexcept {
        if (empty()) return nullptr;  // spares the locked instruction of the usual case
        MailboxEntry* newest = top_.exchange(nullptr, std::memory_order_acquire);
        MailboxEntry* oldest = nullptr;
        while (newest) {
            MailboxEntry* next = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = next;
        }
        return oldest;
    }

private:
    static_assert(std::atomic<MailboxEntry*>::is_always_lock_free);

    std::atomic<MailboxEntry*> top_{nullptr};
};

}  // namespace uaio
