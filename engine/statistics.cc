#include "engine/statistics.h"

#include <uaio/engine.h>

namespace uaio {

EngineStatistics Counters::snapshot() const noexcept {
    EngineStatistics result;
    result.turns = turns.value();
    result.enters = enters.value();
    result.submissions = submissions.value();
    result.completions = completions.value();
    result.operations = operations.value();
    result.short_writes = short_writes.value();
    result.gathered_writes = gathered_writes.value();
    result.cancels = cancels.value();
    result.timeouts = timeouts.value();
    result.posts = posts.value();
    result.full_rings = full_rings.value();
    result.zero_copy_sends = zero_copy_sends.value();
    result.zero_copy_copied = zero_copy_copied.value();
    result.registered_sends = registered_sends.value();
    result.accept_pauses = accept_pauses.value();
    result.direct_writes = direct_writes.load(std::memory_order_relaxed);
    result.wakes = wakes.load(std::memory_order_relaxed);
    result.misuse = misuse.load(std::memory_order_relaxed);
    result.in_flight = begun.value() - result.operations;
    return result;
}

}  // namespace uaio
