// Tells when a library has done all it can do by itself, so that "nothing more will happen" is seen
// and not waited for. For the scenario's thread.
#pragma once

namespace differential {

// True when between two looks no other thread of this process ran: all slept, and none was switched
// to. A thread with work to do is runnable from the moment it is woken, so then whatever is pending
// waits for the peer, for the scenario or for a deadline.
bool is_quiet();

}  // namespace differential
