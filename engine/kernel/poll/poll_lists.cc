#include "engine/kernel/poll/poll_lists.h"

#include "base/check.h"

#include <bit>
#include <new>

namespace uaio {

bool PollQueue::holds(const PollOperation& operation) const noexcept {
    const PollOperation* const before = operation.previous_;
    const PollOperation* const behind = operation.next_;
    return (before ? before->next_ : first_) == &operation &&
           (behind ? behind->previous_ : last_) == &operation;
}

void PollQueue::push_back(PollOperation& operation) noexcept {
    DCHECK(!operation.next_ && !operation.previous_ && !holds(operation));
    operation.previous_ = last_;
    (last_ ? last_->next_ : first_) = &operation;
    last_ = &operation;
}

void PollQueue::remove(PollOperation& operation) noexcept {
    DCHECK(holds(operation));
    (operation.previous_ ? operation.previous_->next_ : first_) = operation.next_;
    (operation.next_ ? operation.next_->previous_ : last_) = operation.previous_;
    operation.next_ = operation.previous_ = nullptr;
    DCHECK((first_ == nullptr) == (last_ == nullptr));
}

void PollIndex::insert(PollOperation& operation) noexcept {
    DCHECK(!operation.is_waiting());
    if (size_ >= buckets_.size()) grow();
    link(operation);
    ++size_;
    DCHECK(find(operation.user_data_) == &operation);
}

void PollIndex::remove(PollOperation& operation) noexcept {
    DCHECK(operation.is_waiting() && *operation.link_in_bucket_ == &operation);
    DCHECK(size_ > 0);
    *operation.link_in_bucket_ = operation.next_in_bucket_;
    if (operation.next_in_bucket_) {
        operation.next_in_bucket_->link_in_bucket_ = operation.link_in_bucket_;
    }
    operation.link_in_bucket_ = nullptr;
    operation.next_in_bucket_ = nullptr;
    --size_;
}

PollOperation* PollIndex::find(std::uint64_t user_data) const noexcept {
    PollOperation* operation = buckets_[bucket_of(user_data)];
    while (operation && operation->user_data_ != user_data)
        operation = operation->next_in_bucket_;
    return operation;
}

std::size_t PollIndex::bucket_of(std::uint64_t user_data) const noexcept {
    // user_data are mostly aligned addresses, whose low bits are equal: multiplying by 2^64 over
    // the golden ratio moves the differing bits into the high ones.
    static_assert(std::has_single_bit(kFirstBuckets) && kFirstBuckets > 1);
    const std::uint64_t mixed = user_data * 0x9e3779b97f4a7c15;
    return mixed >> (64 - std::countr_zero(buckets_.size()));
}

void PollIndex::link(PollOperation& operation) noexcept {
    PollOperation*& first = buckets_[bucket_of(operation.user_data_)];
    operation.next_in_bucket_ = first;
    operation.link_in_bucket_ = &first;
    if (first) first->link_in_bucket_ = &operation.next_in_bucket_;
    first = &operation;
}

void PollIndex::grow() noexcept {
    std::vector<PollOperation*> old;
    try {
        old.resize(buckets_.size() * 2);
    } catch (const std::bad_alloc&) {
        return;  // longer chains are slower, not wrong
    }
    old.swap(buckets_);
    for (PollOperation* operation : old) {
        while (operation) {
            PollOperation* const next = operation->next_in_bucket_;
            link(*operation);
            operation = next;
        }
    }
    DCHECK(count() == size_);
}

std::size_t PollIndex::count() const noexcept {
    std::size_t count = 0;
    for (const PollOperation* operation : buckets_) {
        for (; operation; operation = operation->next_in_bucket_)
            ++count;
    }
    return count;
}

PollOperation* PollPool::acquire() noexcept {
    if (!free_) {
        try {
            chunks_.push_back(std::make_unique<PollOperation[]>(kChunk));
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
        for (std::size_t i = 0; i < kChunk; ++i)
            put_free(chunks_.back()[i]);
    }
    PollOperation* const operation = free_;
    DCHECK(operation->state_ == PollOperation::State::unused);
    free_ = operation->next_;
    operation->next_ = nullptr;
    ++in_use_;
    return operation;
}

void PollPool::release(PollOperation& operation) noexcept {
    DCHECK(operation.state_ != PollOperation::State::unused);
    DCHECK(!operation.is_waiting() && !operation.next_ && !operation.previous_);
    DCHECK(in_use_ > 0);
    --in_use_;
    put_free(operation);
}

void PollPool::put_free(PollOperation& operation) noexcept {
    operation.state_ = PollOperation::State::unused;
    // Last in, first out: the next operation finds this one in the cache.
    operation.next_ = free_;
    free_ = &operation;
}

}  // namespace uaio
