// The links by which an engine knows what waits for it. They lie inside the objects that wait, so
// that the engine allocates nothing for them. Engine's thread, except that any thread may post.
#pragma once

#include <cstdint>

namespace uaio {

// An intrusive link through the mailbox of an engine; `deliver` runs on the engine's thread.
struct MailboxEntry {
    MailboxEntry* next = nullptr;
    void (*deliver)(MailboxEntry&) noexcept = nullptr;
};

// An intrusive link in an engine's timers; armed exactly when `previous` is set.
struct TimerNode {
    TimerNode* next = nullptr;
    TimerNode** previous = nullptr;
    std::int64_t deadline_ns = kNoDeadline;  // of Clock, since its epoch

    static constexpr std::int64_t kNoDeadline = INT64_MAX;
};

}  // namespace uaio
