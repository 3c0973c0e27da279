// Bytes received and not yet consumed, in one contiguous run, since the parsers need a head in one
// piece. An empty buffer shrinks, so that a connection that waits for its next message holds little
// memory. One thread at a time.
#pragma once

#include "base/check.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

namespace uaio::http {

class ReceiveBuffer {
public:
    static constexpr std::size_t kSmall = 1024;

    std::string_view bytes() const noexcept { return {memory_.get() + begin_, end_ - begin_}; }
    bool empty() const noexcept { return begin_ == end_; }

    // Drops bytes from the front. REQUIRES: count <= bytes().size().
    void consume(std::size_t count) noexcept {
        DCHECK(count <= end_ - begin_);
        begin_ += count;
    }

    // Returns room for at least one more byte after the others, which may move; empty if out of
    // memory. Only consume() may be called before added() reports how many bytes were stored.
    std::span<char> room() noexcept {
        if (empty()) {
            begin_ = end_ = 0;
            if (capacity_ > kSmall) {
                memory_.reset();
                capacity_ = 0;
            }
        } else if (end_ == capacity_ && begin_ > 0) {
            std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (end_ == capacity_ && !grow()) return {};
        DCHECK(invariants_hold());
        return {memory_.get() + end_, capacity_ - end_};
    }
    void added(std::size_t count) noexcept {
        ALWAYS_CHECK(count <= capacity_ - end_, "a stream read more bytes than there was room for");
        end_ += count;
        DCHECK(invariants_hold());
    }

private:
    bool invariants_hold() const noexcept {
        return begin_ <= end_ && end_ <= capacity_ && (memory_ != nullptr) == (capacity_ > 0);
    }
    bool grow() noexcept {
        const std::size_t capacity = std::max(kSmall, 2 * capacity_);
        std::unique_ptr<char[]> larger(new (std::nothrow) char[capacity]);
        if (!larger) return false;
        if (end_ > 0) std::memcpy(larger.get(), memory_.get(), end_);
        memory_ = std::move(larger);
        capacity_ = capacity;
        return true;
    }

    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace uaio::http
