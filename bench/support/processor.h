// Pins the threads of a benchmark: one processor for the measured side and one for the other end,
// so that the scheduler's choice is no part of the measurement.
#pragma once

namespace uaio::bench {

enum class Place {
    own,     // the first processor that this process may use: the measured side
    other,   // the second one, or the first if there is only one: the other end
    either,  // both
};

// Pins the calling thread and the threads that it starts later. Best effort.
void pin_to_processor(Place place) noexcept;

}  // namespace uaio::bench
