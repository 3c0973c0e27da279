// The nodes by which an engine refers to operations, deadlines and posts. An Aio has one of each,
// so the engine allocates nothing for them, and an Aio must not move or be destroyed while the
// engine holds one of its nodes. This header is public only because the layout of an Aio is: no
// public function posts, arms or begins a node by itself. Programs use them through
// <uaio/provider.h>; the rules below are for the library's own objects. Engine's thread, except
// where a member says otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>

namespace uaio {

// A node of an engine's mailbox. Any thread may post one that is not posted. The engine's thread
// calls `deliver`, which may post the entry again or destroy it.
struct MailboxEntry {
    MailboxEntry* next = nullptr;
    void (*deliver)(MailboxEntry&) noexcept = nullptr;
};

// A node of an engine's timers; armed exactly when `previous` is set.
struct TimerNode {
    TimerNode* next = nullptr;
    TimerNode** previous = nullptr;
    std::int64_t deadline_ns = kNoDeadline;  // nanoseconds of Clock since its epoch
    // Called once, on a disarmed node, with Errc::timed_out when the deadline has passed, or
    // Errc::closed when the engine ends.
    void (*expire)(TimerNode&, std::error_code reason) noexcept = nullptr;

    static constexpr std::int64_t kNoDeadline = INT64_MAX;
};

// The state of an operation after a completion.
enum class Outcome : std::uint8_t { pending, finished };

// An operation of the kernel. The engine writes its address into the submission queue entry's
// user_data (io_uring_enter(2)), so it must not move until its last completion is handled.
struct alignas(8) Completion {
    // Called with every completion of the operation: `result` and `flags` are those of the CQE.
    // Returns finished after the last one, and pending while more are to come.
    using Handler = Outcome (*)(Completion&, int result, unsigned flags) noexcept;
    // Called once when the operation has finished; may begin the next one or destroy the object.
    using Finisher = void (*)(Completion&) noexcept;

    MailboxEntry mail;  // of the object, while it is posted, deferred or queued
    Handler handler = nullptr;
    Finisher finish = nullptr;
    // Distinguishes an operation from earlier ones at the same address, for cancels that come late.
    std::atomic<std::uint32_t> generation{0};
    std::uint32_t sq_position = 0;  // of its last submission queue entry
};

}  // namespace uaio
