// Virtual time and the events planned in it. Events of one instant happen in the order of their
// planning, unless a rank reorders them. For the kernel's thread, except now().
#pragma once

#include <uaio/clock.h>

#include "base/check.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <tuple>

namespace uaio {

class SimEvents {
public:
    using Action = std::function<void()>;

    // The kind of a step; part of the fingerprint.
    enum class Kind : std::uint8_t { submission, attempt, progress, delivery, completion, user };

    Clock::time_point now() const noexcept {
        return Clock::time_point(std::chrono::nanoseconds(now_ns_.load(std::memory_order_relaxed)));
    }
    // The time when `delay` has passed; the last one of the clock for a delay beyond its range.
    Clock::time_point after(std::chrono::nanoseconds delay) const noexcept {
        const Clock::time_point begin = now();
        return delay < Clock::time_point::max() - begin ? begin + delay : Clock::time_point::max();
    }
    // Never backwards.
    void move_to(Clock::time_point time) noexcept;

    using Key = std::tuple<Clock::time_point, std::uint64_t, std::uint64_t>;

    // Plans `action`; `rank` orders events of one instant before their age does.
    Key plan(Clock::time_point time, Kind kind, Action action, std::uint64_t rank = 0);
    Key plan_after(std::chrono::nanoseconds delay, Kind kind, Action action,
                   std::uint64_t rank = 0) {
        return plan(after(delay), kind, std::move(action), rank);
    }
    void cancel(const Key& key) { events_.erase(key); }

    bool empty() const noexcept { return events_.empty(); }
    bool due() const noexcept { return !empty() && next() <= now(); }
    // The time of the next event. REQUIRES: !empty().
    Clock::time_point next() const noexcept {
        DCHECK(!empty());
        return std::get<0>(events_.begin()->first);
    }

    // Runs the next event, one step. Returns an action of the user instead of running it, for a
    // moment when the kernel is not running. REQUIRES: due().
    Action happen();

    // Counts a step that was not planned.
    void step(Kind kind) noexcept;
    std::uint64_t steps() const noexcept { return steps_; }

    // Pauses once `step` steps are done, and then runs `action`.
    void pause_at(std::uint64_t step, Action action);
    // The action of a pause that has been reached, which may be empty.
    std::optional<Action> paused();

    void mix(std::uint64_t value) noexcept;
    std::uint64_t fingerprint() const noexcept { return fingerprint_; }

private:
    struct Event {
        Kind kind;
        Action action;
    };

    // Far enough from zero that deadlines may lie before it.
    std::atomic<std::int64_t> now_ns_{1'000'000'000'000'000};
    std::map<Key, Event> events_;
    std::multimap<std::uint64_t, Action> pauses_;
    std::uint64_t planned_ = 0;
    std::uint64_t steps_ = 0;
    std::uint64_t fingerprint_ = 0xcbf29ce484222325u;
};

}  // namespace uaio
