// Ends all operations of a queue. Engine's thread.
#pragma once

#include <uaio/provider.h>

#include "base/check.h"

namespace uaio {

// Removes and finishes them.
inline void finish_all(AioQueue& queue, std::error_code error) noexcept {
    while (Aio* const aio = queue.pop())
        Provider::finish(*aio, error);
}

// Cancels them: each leaves the queue when its provider ends it, at once or later.
inline void cancel_all(const AioQueue& queue, Errc reason) noexcept {
    DCHECK(reason != Errc{});  // a cancel without one has no effect
    for (Aio* aio = queue.front(); aio;) {
        Aio* const behind = AioQueue::next(*aio);
        Provider::cancel(*aio, reason);
        aio = behind;
    }
}

}  // namespace uaio
