#include <uaio/iov_cursor.h>

#include "base/check.h"

namespace uaio {
namespace {

char* bytes_of(const iovec& entry) noexcept { return static_cast<char*>(entry.iov_base); }

}  // namespace

void IovCursor::advance(std::size_t bytes) noexcept {
    while (index_ < size_) {
        iovec& entry = entries_[index_];
        if (bytes < entry.iov_len) {
            if (bytes == 0) return;
            entry.iov_base = bytes_of(entry) + bytes;
            entry.iov_len -= bytes;
            split_ += bytes;
            return;
        }
        bytes -= entry.iov_len;
        if (split_ != 0) put_back();
        ++index_;
    }
    DCHECK(bytes == 0);
}

void IovCursor::put_back() noexcept {
    DCHECK(index_ < size_ && split_ > 0);
    iovec& entry = entries_[index_];
    entry.iov_base = bytes_of(entry) - split_;
    entry.iov_len += split_;
    split_ = 0;
}

std::size_t IovCursor::remaining() const noexcept {
    std::size_t sum = 0;
    for (const iovec& entry : rest())
        sum += entry.iov_len;
    return sum;
}

}  // namespace uaio
