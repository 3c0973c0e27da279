#include "engine/call_on_engine.h"

#include "engine/deadline.h"

namespace uaio {

bool CrossThreadCall::wait() noexcept {
    DCHECK(!engine_.on_thread());
    Loop& loop = engine_.loop();
    Waiters& waiters = loop.waiters();
    const auto has_ended = [this] {
        return finished_.load(std::memory_order_acquire) || engine_.is_over();
    };
    const auto may_go_on = [&] { return has_ended() || loop.has_failed(); };
    const Clock::time_point soon = deadline_after(Clock::now(), engine_.patience());
    if (!waiters.wait_until(may_go_on, soon)) {
        engine_.warn_of_long_wait();
        waiters.wait(may_go_on);
    }
    if (finished_.load(std::memory_order_acquire)) return true;
    // The loop no longer takes mail.
    if (waiters.exclude([&] { return loop.withdraw(*this); })) return false;
    waiters.wait(has_ended);  // it was delivered before the end
    return finished_.load(std::memory_order_acquire);
}

}  // namespace uaio
