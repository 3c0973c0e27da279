// Accepts that wait because the process has no free descriptor: they go on when a socket of their
// engine closes, and retry by themselves now and then, since the engine does not see other
// descriptors close. Also stores when the shortage was last reported. Engine's thread only.
#pragma once

#include "base/check.h"
#include "engine/deadline.h"

#include <chrono>
#include <cstdint>

namespace uaio {

class Shortage {
public:
    // A waiting accept. In at most one list, and removed before it is destroyed.
    class Waiter {
    public:
        virtual void on_descriptor_free() noexcept = 0;

    protected:
        ~Waiter() { DCHECK(!previous_); }

    private:
        friend class Shortage;
        Waiter* next_ = nullptr;
        Waiter** previous_ = nullptr;
    };

    // No effect on one that waits already.
    void add(Waiter& waiter) noexcept {
        if (waiter.previous_) return;
        waiter.next_ = waiters_;
        waiter.previous_ = &waiters_;
        if (waiters_) waiters_->previous_ = &waiter.next_;
        waiters_ = &waiter;
    }
    void remove(Waiter& waiter) noexcept {
        if (!waiter.previous_) return;
        DCHECK(*waiter.previous_ == &waiter);
        DCHECK(!waiter.next_ || waiter.next_->previous_ == &waiter.next_);
        *waiter.previous_ = waiter.next_;
        if (waiter.next_) waiter.next_->previous_ = waiter.previous_;
        waiter.previous_ = nullptr;
    }

    // Resumes one waiter after a socket was closed. The longest waiting one is at the end of the
    // list, but a shortage has few waiters, and all of them retry in time.
    void on_descriptor_free() noexcept {
        if (!waiters_) return;
        Waiter& waiter = *waiters_;
        remove(waiter);
        waiter.on_descriptor_free();
    }

    // True for the first call of an episode, which ends after 10 s without a call.
    bool begins_episode(std::int64_t now_ns) noexcept {
        const bool begins = now_ns >= episode_ends_ns_;
        episode_ends_ns_ = deadline_after(now_ns, std::chrono::seconds(10));
        return begins;
    }

private:
    Waiter* waiters_ = nullptr;
    std::int64_t episode_ends_ns_ = 0;
};

}  // namespace uaio
