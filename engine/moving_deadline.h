// A deadline that moves often and seldom passes, such as that of each read of a connection. Its
// timer stays armed for an earlier time when the deadline moves, and is armed again when that time
// comes; so a move is nearly always one store, and the price is an early wake-up, at most one for
// each length of the timeout. Engine's thread only.
#pragma once

#include <uaio/error.h>
#include <uaio/nodes.h>

#include "base/check.h"
#include "engine/core.h"

#include <algorithm>
#include <cstdint>
#include <system_error>

namespace uaio {

class MovingDeadline : private TimerNode {
public:
    // Called when the deadline has passed, with Errc::timed_out, or before that when the engine
    // ends, with Errc::closed. There is no deadline from then on. May destroy this object.
    using Passed = void (*)(void* owner, std::error_code reason) noexcept;

    MovingDeadline(EngineCore& core, Passed passed, void* owner) noexcept
        : core_(core), passed_(passed), owner_(owner) {
        TimerNode::expire = &on_expired;
    }
    // Disarms it: where the engine may be destroyed first, call drop() before that.
    ~MovingDeadline() { drop(); }
    MovingDeadline(const MovingDeadline&) = delete;
    MovingDeadline& operator=(const MovingDeadline&) = delete;

    // Replaces the deadline, in nanoseconds of Engine::now(); TimerNode::kNoDeadline removes it. A
    // negative one has passed already, as 0 has.
    void move(std::int64_t target_ns) noexcept {
        target_ns_ = std::max<std::int64_t>(target_ns, 0);
        if (target_ns_ < armed_ns()) [[unlikely]]
            arm(core_.now_ns());
    }
    // Removes the deadline and leaves its timer.
    void clear() noexcept { target_ns_ = kNoDeadline; }
    // Removes both.
    void drop() noexcept {
        clear();
        if (is_armed()) core_.loop().timers().disarm(*this);
    }

private:
    // In a child of fork(2) the queue has forgotten the timer.
    bool is_armed() const noexcept { return previous && !core_.is_forked(); }
    std::int64_t armed_ns() const noexcept {
        return is_armed() ? TimerNode::deadline_ns : kNoDeadline;
    }

    void arm(std::int64_t now_ns) noexcept {
        if (core_.is_forked()) return;
        DCHECK(core_.on_thread() && target_ns_ != kNoDeadline);
        TimerQueue& timers = core_.loop().timers();
        if (is_armed()) timers.disarm(*this);
        TimerNode::deadline_ns = target_ns_;
        timers.arm(*this, now_ns);
    }

    static void on_expired(TimerNode& node, std::error_code reason) noexcept {
        auto& self = static_cast<MovingDeadline&>(node);
        DCHECK(!self.previous);
        if (self.target_ns_ == kNoDeadline) return;
        const std::int64_t now = self.core_.now_ns();
        if (reason == make_error_code(Errc::timed_out) && self.target_ns_ > now)
            return self.arm(now);
        self.clear();
        self.passed_(self.owner_, reason);
    }

    EngineCore& core_;
    const Passed passed_;
    void* const owner_;
    std::int64_t target_ns_ = kNoDeadline;
};

}  // namespace uaio
