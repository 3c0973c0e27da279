// The state of a queued Aio in its write queue. Engine's thread.
#pragma once

#include <cstddef>

namespace uaio {

// In the scratch of the Aio (note.h).
struct WriteNote {
    std::size_t left;      // bytes still to send
    std::size_t lent = 0;  // bytes of LentBytes that the kernel has not given back
    bool all;              // all of them, not just some
    bool ended = false;    // out of the queue, waits for a notification
};

}  // namespace uaio
