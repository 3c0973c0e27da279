// Which processor a thread of a benchmark runs on: there are two places, one for what is measured
// and one for the other end, so that the scheduler's choice is no part of the measurement.
#pragma once

namespace uaio::bench {

enum class Place {
    own,     // the first processor that this process may use: what is measured
    other,   // the second one: the other end; the first, where there is no second
    either,  // both
};

// The calling thread, and the threads that it starts from now on. Best effort.
void pin_to_processor(Place place) noexcept;

}  // namespace uaio::bench
