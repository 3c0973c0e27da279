// The position of an operation in its iovec list. The entries are the Aio's own copy; the cursor
// trims the entry that a short transfer split in place, so that the kernel gets the rest of the
// list without a copy, and restores it when it moves on or rewinds. Belongs to the current owner of
// the operation; not thread-safe.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace uaio {

class IovCursor {
public:
    // Most entries of a list: IOV_MAX of Linux (limits.h, writev(2)).
    static constexpr std::size_t kMaxEntries = 1024;

    // Starts at the front of `size` entries, which must outlive the cursor. At most kMaxEntries.
    void assign(iovec* entries, std::size_t size) noexcept {
        entries_ = entries;
        size_ = static_cast<std::uint16_t>(size);
        index_ = 0;
        split_ = 0;
    }

    // The entries from the current position on, the first one trimmed; the form of sendmsg(2).
    std::span<iovec> rest() const noexcept { return {entries_ + index_, entries_ + size_}; }

    // Moves over `bytes`, at most remaining(), and over zero-length entries behind them.
    void advance(std::size_t bytes) noexcept;

    // Returns to the front, every entry as it was assigned: the same list can be sent again.
    void rewind() noexcept {
        if (split_ != 0) put_back();
        index_ = 0;
    }

    // Bytes from the current position to the end. Costs a pass over the entries left.
    std::size_t remaining() const noexcept;

    bool done() const noexcept { return index_ == size_; }
    iovec* base() const noexcept { return entries_; }
    std::size_t entries() const noexcept { return size_; }

private:
    // Restores the entry that was split.
    void put_back() noexcept;

    iovec* entries_ = nullptr;
    std::size_t split_ = 0;  // bytes of the current entry that are behind the cursor
    std::uint16_t index_ = 0;
    std::uint16_t size_ = 0;
};

}  // namespace uaio
