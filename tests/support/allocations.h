// Counts the heap blocks that a test allocates, by replacing malloc(3), which operator new calls.
// Not under sanitizers, which replace malloc themselves.
#pragma once

#include <cstdint>

namespace uaio {

// True if the counts below work. False under sanitizers and valgrind and in guard builds.
bool allocations_are_counted();

// Blocks that this thread has allocated since it started.
std::uint64_t thread_allocations() noexcept;

// Allocated and unfreed blocks of the whole process.
std::int64_t live_allocations() noexcept;
// Bytes of these blocks, as malloc_usable_size(3) counts them.
std::int64_t live_bytes() noexcept;

// The next malloc(), calloc(), realloc() or operator new of this thread fails, once. Only where
// allocations_are_counted().
void fail_next_allocation() noexcept;

// The same after `others` more allocations, counting all or only those not made by OpenSSL.
enum class FailingAllocations : std::uint8_t { all, without_openssl };
void fail_allocation_behind(std::uint64_t others,
                            FailingAllocations which = FailingAllocations::all) noexcept;
// Cancels the planned failure; true if it has occurred.
bool stop_failing() noexcept;

}  // namespace uaio
