// The memory that the kernel locks or uses by itself: lent by zero-copy sends for their time,
// registered for good, or filled by receives. Engine's thread.
#pragma once

#include <uaio/buffers.h>

#include "engine/buffer_ring.h"
#include "engine/kernel/kernel.h"
#include "engine/lent_bytes.h"

namespace uaio {

struct LockedMemory {
    LockedMemory(EngineCore& core, Kernel& kernel) noexcept
        : lent(kernel.features().lockable_bytes), buffers(core), received(kernel) {}

    LentBytes lent;
    Buffers buffers;
    BufferRing received;
};

}  // namespace uaio
