// What a stream of this library can do besides its verbs: transfer what goes at once, without a
// turn of the engine, and tell when that is worth trying. It lies beside Stream, not in it, since a
// stream of a user's own need not have it. Engine's thread only.
#pragma once

#include <uaio/stream.h>
#include <uaio/transferred.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

namespace uaio {

class TryIo {
public:
    // Takes some bytes, at least one, behind what was written before. What it takes may still have
    // to be sent by the engine. REQUIRES: not empty. Errors: operation_would_block, if writes are
    // queued or nothing can be taken now; closed; what a write would end with, which stays.
    virtual Transferred try_write(std::span<const std::byte> bytes) noexcept = 0;
    // Gives some bytes, at least one, of those that have come. REQUIRES: not empty. Errors:
    // operation_would_block, if reads are queued or nothing has come; closed; what a read would end
    // with, which stays.
    virtual Transferred try_read(std::span<std::byte> bytes) noexcept = 0;

    // Ends the Aio, without an error, when an attempt would not have to wait: some bytes, or an
    // error that it would report. The vector is not used. Errors: closed.
    virtual void wait_for(Direction direction, Aio& aio) noexcept = 0;

    // From now on nothing is read below before somebody wants to read: else try_read() would
    // meet a read that the engine has under way. Streams that never read ahead do nothing.
    virtual void read_on_demand() noexcept {}

protected:
    ~TryIo() = default;
};

// Null for a stream that has none.
inline TryIo* try_io_of(Stream& stream) noexcept { return dynamic_cast<TryIo*>(&stream); }

}  // namespace uaio
