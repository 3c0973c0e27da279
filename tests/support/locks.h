// Counts the mutexes that a test's thread locks, by standing in for pthread_mutex_lock(3), on which
// std::mutex rests. Not under sanitizers, which stand there themselves.
#pragma once

#include <cstdint>

namespace uaio {

// True if the count below counts. False under sanitizers.
bool locks_are_counted() noexcept;

// Mutexes that this thread has locked since it started.
std::uint64_t thread_locks() noexcept;

}  // namespace uaio
