// What a stream of this library can do besides its verbs: end what it sends and read on, which a
// server needs before it closes a connection whose client may still be sending (RFC 9112 9.6). It
// lies beside Stream, not in it, since a stream of a user's own need not have it. Engine's thread
// only.
#pragma once

#include <uaio/stream.h>

namespace uaio {

class HalfClose {
public:
    // The peer reads the end of the stream behind what was written (shutdown(2), SHUT_WR); this
    // side reads on. REQUIRES: no write is under way, and none follows.
    virtual void end_output() noexcept = 0;

protected:
    ~HalfClose() = default;
};

// Null for a stream that has none.
inline HalfClose* half_close_of(Stream& stream) noexcept {
    return dynamic_cast<HalfClose*>(&stream);
}

}  // namespace uaio
