// Bytes received and not yet consumed, in one contiguous run, since the parsers need a head in one
// piece: in memory of its own, or for a while in that of the stream. An empty buffer shrinks, so
// that a connection that waits for its next message holds little memory. One thread at a time.
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

    std::string_view bytes() const noexcept { return {data_ + begin_, end_ - begin_}; }
    bool empty() const noexcept { return begin_ == end_; }

    // Drops bytes from the front. REQUIRES: count <= bytes().size().
    void consume(std::size_t count) noexcept {
        DCHECK(count <= end_ - begin_);
        begin_ += count;
    }

    // Holds `bytes`, which stay the caller's, in place, until keep(). REQUIRES: empty().
    void lend(std::span<char> bytes) noexcept {
        DCHECK(empty() && !is_lent());
        data_ = bytes.data();
        begin_ = 0;
        end_ = bytes.size();
    }
    // Moves what is left of lent bytes to memory of its own. False if out of memory: they are lost.
    [[nodiscard]] bool keep() noexcept {
        if (!is_lent()) return true;
        const std::string_view left = bytes();
        data_ = memory_.get();
        begin_ = end_ = 0;
        if (left.size() > capacity_ && !grow(left.size())) return false;
        if (!left.empty()) std::memcpy(data_, left.data(), left.size());
        end_ = left.size();
        DCHECK(invariants_hold());
        return true;
    }

    // Drops all bytes.
    void clear() noexcept {
        data_ = memory_.get();
        begin_ = end_ = 0;
        if (capacity_ > kSmall) free_memory();
    }

    // Returns room for at least one more byte after the others, which may move; empty if out of
    // memory. Only consume() may be called before added() reports how many bytes were stored.
    std::span<char> room() noexcept {
        if (!keep()) return {};
        if (empty()) {
            clear();
        } else if (end_ == capacity_ && begin_ > 0) {
            std::memmove(data_, data_ + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (end_ == capacity_ && !grow(2 * capacity_)) return {};
        DCHECK(invariants_hold());
        return {data_ + end_, capacity_ - end_};
    }
    void added(std::size_t count) noexcept {
        ALWAYS_CHECK(count <= capacity_ - end_, "a stream read more bytes than there was room for");
        end_ += count;
        DCHECK(invariants_hold());
    }

private:
    bool is_lent() const noexcept { return data_ != memory_.get(); }
    bool invariants_hold() const noexcept {
        return begin_ <= end_ && (is_lent() || end_ <= capacity_) &&
               (memory_ != nullptr) == (capacity_ > 0);
    }
    void free_memory() noexcept {
        memory_.reset();
        data_ = nullptr;
        capacity_ = 0;
    }
    bool grow(std::size_t least) noexcept {
        const std::size_t capacity = std::max(kSmall, least);
        std::unique_ptr<char[]> larger(new (std::nothrow) char[capacity]);
        if (!larger) return false;
        if (end_ > 0) std::memcpy(larger.get(), memory_.get(), end_);
        memory_ = std::move(larger);
        data_ = memory_.get();
        capacity_ = capacity;
        return true;
    }

    std::unique_ptr<char[]> memory_;
    char* data_ = nullptr;  // memory_, or bytes that are lent
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace uaio::http
