// A growable byte queue that can free its memory, for records on their way into or out of OpenSSL.
// One thread at a time.
#pragma once

#include "base/check.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>

namespace uaio::tls {

class ByteBuffer {
public:
    bool empty() const noexcept { return begin_ == end_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::span<const std::byte> bytes() const noexcept { return {memory_.get() + begin_, size()}; }

    // Drops bytes from the front. REQUIRES: count <= size().
    void consume(std::size_t count) noexcept {
        DCHECK(count <= size());
        begin_ += count;
        if (begin_ == end_) begin_ = end_ = 0;
    }
    void clear() noexcept { begin_ = end_ = 0; }

    // Returns room for at least `count` bytes after the buffered ones, which may move; empty
    // without memory. commit() appends the bytes used.
    std::span<std::byte> prepare(std::size_t count) noexcept {
        if (capacity_ - end_ < count && !grow(count)) return {};
        return {memory_.get() + end_, capacity_ - end_};
    }
    void commit(std::size_t count) noexcept {
        ALWAYS_CHECK(count <= capacity_ - end_,
                     "more bytes were written into a buffer than it has room for");
        end_ += count;
    }

    // False without memory.
    bool append(const void* bytes, std::size_t count) noexcept {
        const std::span<std::byte> room = prepare(count);
        if (room.size() < count) return false;
        if (count > 0) std::memcpy(room.data(), bytes, count);
        commit(count);
        return true;
    }

    // Clears the buffer and sets its exact capacity. Without memory: false, and the capacity is 0.
    bool resize(std::size_t capacity) noexcept {
        clear();
        if (capacity == capacity_) return true;
        memory_.reset();
        memory_.reset(new (std::nothrow) std::byte[capacity]);
        capacity_ = memory_ ? capacity : 0;
        return memory_ != nullptr;
    }
    // Frees the memory if the buffer is empty and its capacity exceeds `kept`.
    void shrink(std::size_t kept) noexcept {
        if (!empty() || capacity_ <= kept) return;
        memory_.reset();
        capacity_ = 0;
    }

    void swap(ByteBuffer& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(capacity_, other.capacity_);
        std::swap(begin_, other.begin_);
        std::swap(end_, other.end_);
    }

private:
    bool grow(std::size_t count) noexcept {
        if (begin_ > 0 && capacity_ - size() >= count) {
            std::memmove(memory_.get(), memory_.get() + begin_, size());
        } else {
            std::size_t capacity = capacity_ < 512 ? 512 : 2 * capacity_;
            if (capacity < size() + count) capacity = size() + count;
            std::unique_ptr<std::byte[]> larger(new (std::nothrow) std::byte[capacity]);
            if (!larger) return false;
            if (!empty()) std::memcpy(larger.get(), memory_.get() + begin_, size());
            memory_ = std::move(larger);
            capacity_ = capacity;
        }
        end_ = size();
        begin_ = 0;
        return true;
    }

    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace uaio::tls
