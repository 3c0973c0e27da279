// An optional interface of streams: ends the output and keeps reading, which a server needs before
// it closes a connection whose client may still be sending (RFC 9112 9.6). Separate from Stream,
// since a stream of a user's own need not have it. Engine's thread only.
#pragma once

#include <uaio/stream.h>

namespace uaio {

class HalfClose {
public:
    // Ends the output: the peer reads end of stream after the written bytes (shutdown(2), SHUT_WR).
    // Reading continues. REQUIRES: no write is under way, and none follows.
    virtual void end_output() noexcept = 0;

protected:
    ~HalfClose() = default;
};

// Null if the stream does not have it.
inline HalfClose* half_close_of(Stream& stream) noexcept {
    return dynamic_cast<HalfClose*>(&stream);
}

}  // namespace uaio
