// Cancel requests of other threads. An operation may end, be started again or be destroyed
// meanwhile, and its own link is in use, so a request holds its address and generation in a list
// behind a lock. The path of an operation never takes the lock.
#pragma once

#include <uaio/nodes.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <vector>

namespace uaio {

struct LateRequest {
    // Engine's thread, with the list locked: may call forget() for other operations, as a canceler
    // does that destroys an idle one, but not add(). False: the request stays in the list for the
    // next turn.
    using Deliver = bool (*)(Completion& operation, std::error_code reason) noexcept;

    Completion* operation;  // null: forgotten while the list was delivered
    std::uint32_t generation;
    std::error_code reason;
    Deliver deliver;
    bool any_generation = false;  // matches the operation under way when the request arrives
};

class LateRequests {
public:
    LateRequests();

    // Any thread. False without memory; delivery makes room.
    bool add(const LateRequest& request) noexcept;
    // Any thread, before the memory of `operation` is freed: when this returns, no request for it
    // is being delivered or will be.
    void forget(const Completion& operation) noexcept;
    // Any thread.
    bool empty() const noexcept { return count_.load(std::memory_order_acquire) == 0; }

    // Engine's thread. Requests for an earlier generation are dropped.
    void deliver() noexcept {
        if (!empty()) deliver_all();
    }
    // In a child of fork(2), where the lock may be held for ever.
    void abandon() noexcept { count_ = 0; }

private:
    static constexpr std::size_t kReserved = 64;

    bool invariants_hold() const noexcept;
    void deliver_all() noexcept;
    void set_count() noexcept;

    std::atomic<unsigned> count_{0};
    std::recursive_mutex mutex_;         // recursive for a forget() during a delivery
    std::vector<LateRequest> requests_;  // by mutex_
    bool delivering_ = false;            // by mutex_
};

}  // namespace uaio
