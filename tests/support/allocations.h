// Counts the memory blocks that a test takes from the heap, by standing in for malloc(3), on which
// operator new rests. Not under sanitizers, which bring a malloc of their own.
#pragma once

#include <cstdint>

namespace uaio {

// True if the counts below count. False under sanitizers and valgrind and in guard builds.
bool allocations_are_counted();

// Blocks that this thread has allocated since it started.
std::uint64_t thread_allocations() noexcept;

// Blocks of the whole process that are allocated and not freed.
std::int64_t live_allocations() noexcept;
// Bytes of these blocks, as malloc_usable_size(3) counts them.
std::int64_t live_bytes() noexcept;

// The next malloc(), calloc(), realloc() or operator new of this thread fails, once. Only where
// allocations_are_counted().
void fail_next_allocation() noexcept;

// The same for the one that comes behind so many others, of all, or of those that are not made by
// OpenSSL.
enum class FailingAllocations : std::uint8_t { all, without_openssl };
void fail_allocation_behind(std::uint64_t others,
                            FailingAllocations which = FailingAllocations::all) noexcept;
// Calls that off; true if it has failed.
bool stop_failing() noexcept;

}  // namespace uaio
