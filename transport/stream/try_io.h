// An optional interface of streams: transfers bytes at once, without a turn of the engine, and
// waits until that is possible. Separate from Stream, since a stream of a user's own need not have
// it. Engine's thread only.
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
    // Takes at least one byte, after all earlier writes; the engine may send it later. REQUIRES:
    // not empty. Errors: operation_would_block, if writes are queued or nothing can be taken now;
    // closed; the error of a write, which is sticky.
    virtual Transferred try_write(std::span<const std::byte> bytes) noexcept = 0;
    // Returns at least one received byte. REQUIRES: not empty. Errors: operation_would_block, if
    // reads are queued or nothing was received; closed; the error of a read, which is sticky.
    virtual Transferred try_read(std::span<std::byte> bytes) noexcept = 0;

    // Completes the Aio, without an error, when an attempt would transfer bytes or report an error.
    // Does not use its buffers. Errors: closed.
    virtual void wait_for(Direction direction, Aio& aio) noexcept = 0;

    // From now on reads below only for an operation, so that try_read() finds no read pending in
    // the engine. No effect on streams that never read ahead.
    virtual void read_on_demand() noexcept {}

protected:
    ~TryIo() = default;
};

// Null if the stream does not have it.
inline TryIo* try_io_of(Stream& stream) noexcept { return dynamic_cast<TryIo*>(&stream); }

}  // namespace uaio
