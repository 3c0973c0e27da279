#include "engine/deadline.h"

#include <doctest/doctest.h>

namespace uaio::deadline_test {

using std::chrono::nanoseconds;

TEST_CASE("deadline_after returns no deadline if the sum overflows, and the epoch before it") {
    CHECK(deadline_after(100, nanoseconds(5)) == 105);
    CHECK(deadline_after(100, nanoseconds(-5)) == 95);
    CHECK(deadline_after(100, nanoseconds(-100)) == 0);
    CHECK(deadline_after(100, nanoseconds(-101)) == 0);  // negative deadlines cannot be armed
    CHECK(deadline_after(100, nanoseconds::min()) == 0);
    CHECK(deadline_after(100, kNoTimeout) == TimerNode::kNoDeadline);
    CHECK(deadline_after(100, nanoseconds::max() - nanoseconds(99)) == TimerNode::kNoDeadline);
    CHECK(deadline_after(100, nanoseconds::max() - nanoseconds(101)) == TimerNode::kNoDeadline - 1);
    const Clock::time_point now(nanoseconds(100));
    CHECK(deadline_after(now, nanoseconds(5)) == now + nanoseconds(5));
    CHECK(deadline_after(now, kNoTimeout) == Clock::time_point::max());
}

}  // namespace uaio::deadline_test
