// The memory of an engine's users that the kernel locks: lent by zero-copy sends for their time, or
// registered for good. Engine's thread.
#pragma once

#include <uaio/buffers.h>

#include "engine/lent_bytes.h"

#include <cstdint>

namespace uaio {

struct LockedMemory {
    LockedMemory(EngineCore& core, std::uint64_t lockable) noexcept
        : lent(lockable), buffers(core) {}

    LentBytes lent;
    Buffers buffers;
};

}  // namespace uaio
