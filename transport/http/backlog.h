// A FIFO of small values in a ring buffer that grows and never shrinks: the pending messages of a
// connection. One thread at a time.
#pragma once

#include "base/check.h"

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace uaio::http {

template <class T>
class Backlog {
public:
    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }
    // REQUIRES: not empty.
    const T& front() const noexcept {
        DCHECK(!empty() && first_ < capacity_);
        return items_[first_];
    }
    T& front() noexcept {
        DCHECK(!empty() && first_ < capacity_);
        return items_[first_];
    }

    // False if out of memory.
    bool push(const T& item) noexcept {
        if (size_ == capacity_ && !grow()) return false;
        DCHECK(size_ < capacity_ && (capacity_ & (capacity_ - 1)) == 0);
        items_[(first_ + size_) & (capacity_ - 1)] = item;
        ++size_;
        return true;
    }
    // REQUIRES: not empty.
    void pop() noexcept {
        DCHECK(!empty());
        first_ = (first_ + 1) & (capacity_ - 1);
        --size_;
    }

private:
    static_assert(std::is_trivially_copyable_v<T>, "a copy must not fail");

    bool grow() noexcept {
        const std::size_t capacity = capacity_ == 0 ? 4 : 2 * capacity_;
        std::unique_ptr<T[]> larger(new (std::nothrow) T[capacity]);
        if (!larger) return false;
        for (std::size_t i = 0; i < size_; ++i)
            larger[i] = items_[(first_ + i) & (capacity_ - 1)];
        items_ = std::move(larger);
        capacity_ = capacity;
        first_ = 0;
        return true;
    }

    std::unique_ptr<T[]> items_;
    std::size_t capacity_ = 0;  // a power of two
    std::size_t first_ = 0;
    std::size_t size_ = 0;
};

}  // namespace uaio::http
