// The state that all parts of one simulated kernel share: time, randomness, faults and their
// counts, and the scripted results of a test. For the kernel's thread.
#pragma once

#include <uaio/sim.h>

#include "base/check.h"
#include "engine/kernel/sim/sim_events.h"
#include "engine/kernel/sim/sim_random.h"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace uaio {

// Lengths of the next transfers in one direction, see SimKernel::script_send_lengths.
class SimLengths {
public:
    void add(const std::vector<std::size_t>& lengths) {
        for (const std::size_t length : lengths) {
            if (length > 0) lengths_.push_back(length);
        }
    }
    std::optional<std::size_t> next() {
        if (lengths_.empty()) return std::nullopt;
        const std::size_t length = lengths_.front();
        lengths_.pop_front();
        return length;
    }

private:
    std::deque<std::size_t> lengths_;
};

// Errors of the next calls, see SimKernel::script_error.
class SimErrors {
public:
    void add(SimCall call, int error, unsigned skip) {
        DCHECK(error > 0);  // next() returns 0 for none
        planned_[call].push_back({skip, error});
    }

    // The errno with which this call must fail, 0 for none.
    int next(SimCall call) {
        const auto found = planned_.find(call);
        if (found == planned_.end() || found->second.empty()) return 0;
        Planned& first = found->second.front();
        if (first.skip > 0) {
            --first.skip;
            return 0;
        }
        const int error = first.error;
        found->second.pop_front();
        return error;
    }

private:
    struct Planned {
        unsigned skip;
        int error;
    };
    std::map<SimCall, std::deque<Planned>> planned_;
};

struct SimWorld {
    SimWorld(std::uint64_t own_seed, const Faults& own_faults)
        : seed(own_seed), faults(own_faults), random(own_seed) {}
    SimWorld(const SimWorld&) = delete;
    SimWorld& operator=(const SimWorld&) = delete;

    // Draws whether a fault of this rate happens, and counts it.
    bool strikes(unsigned per_mille, std::uint64_t& counter) noexcept {
        const bool struck = random.chance(per_mille);
        if (struck) ++counter;
        return struck;
    }

    // The negative errno that a script has for this call, or 0.
    int scripted_error(SimCall call) {
        const int error = errors.next(call);
        if (error != 0) ++counters.scripted;
        return -error;
    }

    const std::uint64_t seed;
    const Faults faults;
    SimRandom random;
    SimEvents events;
    SimCounters counters;
    SimLengths send_lengths;
    SimLengths receive_lengths;
    SimErrors errors;
};

}  // namespace uaio
