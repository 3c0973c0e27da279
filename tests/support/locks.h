// Counts the mutexes that a test's thread locks, by replacing pthread_mutex_lock(3), which
// std::mutex calls. Not under sanitizers, which replace it themselves.
#pragma once

#include <cstdint>

namespace uaio {

// True if the count below works. False under sanitizers.
bool locks_are_counted() noexcept;

// Mutexes that this thread has locked since it started.
std::uint64_t thread_locks() noexcept;

}  // namespace uaio
