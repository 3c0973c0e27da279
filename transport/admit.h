// The checks that every stream makes when an operation starts, in the order that the contract of
// Stream gives. Engine's thread.
#pragma once

#include <uaio/provider.h>

#include <sys/types.h>

#include <limits>
#include <system_error>

namespace uaio {

// No error for a vector that can be transferred: at least one entry, none with a length but no
// address, and no more than SSIZE_MAX bytes in all, which is what one system call could report.
inline std::error_code check_vector(const IovCursor& cursor) noexcept {
    if (cursor.entries() == 0) return Errc::invalid_argument;
    std::size_t room = std::numeric_limits<ssize_t>::max();
    for (const iovec& entry : cursor.rest()) {
        if (entry.iov_len > room || (!entry.iov_base && entry.iov_len > 0)) {
            return Errc::invalid_argument;
        }
        room -= entry.iov_len;
    }
    return {};
}

// The error with which the operation has to end before it begins, if any.
inline std::error_code admit(Aio& aio, bool closed) noexcept {
    if (provider::stopped(aio)) return Errc::canceled;
    if (closed) return Errc::closed;
    if (const std::error_code error = check_vector(provider::cursor(aio))) return error;
    if (provider::expired(aio)) return Errc::timed_out;
    return {};
}

}  // namespace uaio
