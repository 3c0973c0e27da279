// Ends everything on an engine: closes its Residents and cancels its operations, turn by turn,
// until nothing is left. Engine's thread, outside a turn.
#pragma once

#include "engine/loop.h"
#include "engine/resident.h"

#include <cstdint>

namespace uaio {

class Shutdown {
public:
    Shutdown(Loop& loop, Residents& residents) noexcept : loop_(loop), residents_(residents) {}
    Shutdown(const Shutdown&) = delete;
    Shutdown& operator=(const Shutdown&) = delete;

    // Ends the read of the kernel's wake_fd() too, with the next cancel of all.
    void stop_waking() noexcept;
    // To be called before each turn, since a callback may begin an operation or make a Resident.
    // Expires all timers, and cancels all operations if any was begun since the last call; after a
    // while it cancels them again, since the kernel can lose a cancel. Returns when the turn must
    // end, `until_ns` at the latest.
    std::int64_t end_operations(std::int64_t until_ns) noexcept;
    // True if no operation, mail or Resident is left that a turn could end.
    bool is_complete() noexcept { return residents_.are_idle() && loop_.is_idle(); }

private:
    Loop& loop_;
    Residents& residents_;
    std::uint64_t cancelled_ = 0;  // the number of operations begun before the last cancel of all
    std::int64_t cancel_again_ns_ = 0;
    bool cancels_wake_ = false;
};

}  // namespace uaio
