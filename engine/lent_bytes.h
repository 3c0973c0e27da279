// The bytes of an engine's zero-copy sends that the kernel has not given back, with their limit:
// the kernel locks the pages that hold them, and RLIMIT_MEMLOCK bounds what a user locks
// (setrlimit(2)), rings and registered buffers included. Engine's thread.
#pragma once

#include "base/check.h"

#include <cstdint>

namespace uaio {

class LentBytes {
public:
    // `lockable`: Features::lockable_bytes. Half of it is for sends; other engines and processes of
    // the user need the rest.
    explicit LentBytes(std::uint64_t lockable) noexcept : limit_(lockable / 2) {}

    // Takes `bytes` from the limit; false, without effect, if that would pass it.
    bool lend(std::uint64_t bytes) noexcept {
        DCHECK(lent_ <= limit_);
        if (bytes > limit_ - lent_) return false;
        lent_ += bytes;
        return true;
    }
    void give_back(std::uint64_t bytes) noexcept {
        DCHECK(bytes <= lent_);
        lent_ -= bytes;
    }
    std::uint64_t lent() const noexcept { return lent_; }

private:
    const std::uint64_t limit_;
    std::uint64_t lent_ = 0;
};

}  // namespace uaio
