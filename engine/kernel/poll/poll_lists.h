// The containers of PollKernel's operations: a queue for each side of a descriptor, an index by
// user_data, a pool. Nothing here allocates in a steady state. Engine's thread.
#pragma once

#include "engine/kernel/poll/poll_operation.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace uaio {

// Operations in order of arrival, linked through themselves.
class PollQueue {
public:
    PollOperation* front() const noexcept { return first_; }
    bool empty() const noexcept { return first_ == nullptr; }
    static PollOperation* after(const PollOperation& operation) noexcept { return operation.next_; }
    void push_back(PollOperation& operation) noexcept;
    void remove(PollOperation& operation) noexcept;

private:
    // True if its neighbours, or the ends, link it.
    bool holds(const PollOperation& operation) const noexcept;

    PollOperation* first_ = nullptr;
    PollOperation* last_ = nullptr;
};

// The waiting operations by their user_data, for cancels: a hash table linked through them.
class PollIndex {
public:
    PollIndex() : buckets_(kFirstBuckets) {}

    void insert(PollOperation& operation) noexcept;
    void remove(PollOperation& operation) noexcept;
    // The latest one with this user_data, or null.
    PollOperation* find(std::uint64_t user_data) const noexcept;
    std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::size_t kFirstBuckets = 256;

    std::size_t bucket_of(std::uint64_t user_data) const noexcept;
    std::size_t count() const noexcept;
    void link(PollOperation& operation) noexcept;
    void grow() noexcept;

    std::vector<PollOperation*> buckets_;  // a power of two of them
    std::size_t size_ = 0;
};

// Reusable operations, so that a steady state allocates nothing.
class PollPool {
public:
    // Null when memory is out.
    PollOperation* acquire() noexcept;
    void release(PollOperation& operation) noexcept;
    // Those acquired and not released.
    std::size_t in_use() const noexcept { return in_use_; }

private:
    static constexpr std::size_t kChunk = 32;

    void put_free(PollOperation& operation) noexcept;

    std::vector<std::unique_ptr<PollOperation[]>> chunks_;
    PollOperation* free_ = nullptr;
    std::size_t in_use_ = 0;
};

}  // namespace uaio
