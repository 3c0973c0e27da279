#include "engine/shutdown.h"

#include <uaio/error.h>

#include "base/check.h"
#include "engine/deadline.h"

#include <algorithm>
#include <chrono>

namespace uaio {
namespace {

// The time after which a cancel of everything is repeated. A stopped engine that waits for an
// operation of a provider wakes that often.
constexpr std::chrono::milliseconds kCancelAgain(100);

}  // namespace

void Shutdown::stop_waking() noexcept {
    loop_.ring().stop_waking();
    cancels_wake_ = true;
}

std::int64_t Shutdown::end_operations(std::int64_t until_ns) noexcept {
    residents_.begin_shutdown();
    loop_.expire_all(Errc::closed);
    if (loop_.has_failed()) return until_ns;
    const std::uint64_t begun = loop_.counters().begun.value();
    const std::int64_t now = loop_.now_ns();
    DCHECK(cancelled_ <= begun);
    DCHECK(cancel_again_ns_ <= deadline_after(now, kCancelAgain));
    const bool is_due = begun != cancelled_ || now >= cancel_again_ns_;
    if (cancels_wake_ || (loop_.has_operations() && is_due)) {
        loop_.ring().cancel_all();
        cancelled_ = begun;
        cancel_again_ns_ = deadline_after(now, kCancelAgain);
        cancels_wake_ = false;
    }
    return loop_.has_operations() ? std::min(until_ns, cancel_again_ns_) : until_ns;
}

}  // namespace uaio
