// Detects that a library makes no more progress by itself, so that "nothing more will happen" is
// observed without a wait. For the scenario's thread.
#pragma once

namespace differential {

// True if no other thread of this process ran between two samples: all slept, and none was
// scheduled. A thread with work is runnable from its wake-up on, so every pending operation then
// waits for the peer, for the scenario or for a deadline.
bool is_idle();

}  // namespace differential
