// Checks that every stream makes when an operation starts, in the order of Stream's contract.
// Engine's thread.
#pragma once

#include <uaio/provider.h>

#include "engine/core.h"

#include <sys/types.h>

#include <cstddef>
#include <limits>

namespace uaio {

// The result of these checks.
struct Admission {
    Errc refused{};         // the error it ends with at once; zero: it may start
    std::size_t bytes = 0;  // in all buffers
};

// Checks an iovec list: at least one buffer, none with a length but no address, and no more than
// SSIZE_MAX bytes in all, which is what one system call could report.
inline Admission check_buffers(const IovCursor& cursor) noexcept {
    if (cursor.entries() == 0) return {Errc::invalid_argument};
    constexpr std::size_t kBytesMax = std::numeric_limits<ssize_t>::max();
    std::size_t bytes = 0;
    for (const iovec& entry : cursor.rest()) {
        if (entry.iov_len > kBytesMax - bytes || (!entry.iov_base && entry.iov_len > 0)) {
            return {Errc::invalid_argument};
        }
        bytes += entry.iov_len;
    }
    return {{}, bytes};
}

// For operations without buffers, or with buffers of their own.
inline Admission admit_without_buffers(Aio& aio, bool closed) noexcept {
    if (Provider::stopped(aio)) return {Errc::canceled};
    if (closed) return {Errc::closed};
    if (Provider::expired(aio)) return {Errc::timed_out};
    return {};
}

// Uses Errc, since a std::error_code costs a call to construct even without an error.
inline Admission admit(Aio& aio, bool closed) noexcept {
    if (Provider::stopped(aio)) return {Errc::canceled};
    if (closed) return {Errc::closed};
    Admission admission = check_buffers(Provider::cursor(aio));
    if (admission.refused == Errc{} && Provider::expired(aio)) {
        admission.refused = Errc::timed_out;
    }
    return admission;
}

}  // namespace uaio
