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
    const Clock::time_point soon = deadline_after(Clock::now(), engine_.patience());
    if (!waiters.wait_until(has_ended, soon)) {
        engine_.warn_of_long_wait();
        waiters.wait(has_ended);
    }
    if (finished_.load(std::memory_order_acquire)) return true;
    waiters.exclude([&] { loop.withdraw(*this); });  // posted after the loop's last delivery
    return false;
}

}  // namespace uaio
