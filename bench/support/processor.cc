#include "bench/support/processor.h"

#include <sched.h>

namespace uaio::bench {
namespace {

struct Processors {
    int own = 0;
    int other = 0;
};

// Reads the affinity of the process as started: called once, before any thread is pinned.
Processors choose() noexcept {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    Processors chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return chosen;
    int found = 0;
    for (int processor = 0; processor < CPU_SETSIZE && found < 2; ++processor) {
        if (!CPU_ISSET(processor, &allowed)) continue;
        if (found++ == 0) chosen.own = processor;
        chosen.other = processor;
    }
    return chosen;
}

}  // namespace

void pin_to_processor(Place place) noexcept {
    static const Processors processors = choose();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (place != Place::other) CPU_SET(processors.own, &set);
    if (place != Place::own) CPU_SET(processors.other, &set);
    sched_setaffinity(0, sizeof set, &set);
}

}  // namespace uaio::bench
