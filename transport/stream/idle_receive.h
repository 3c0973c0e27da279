// An optional interface of streams: waits for bytes without an Aio, and without a buffer until they
// arrive, as a connection does for most of its life. Separate from Stream, since a stream of a
// user's own need not have it. Engine's thread only.
#pragma once

#include <uaio/stream.h>

#include <span>
#include <system_error>

namespace uaio {

class IdleReceive {
public:
    // Called once: with bytes, which are valid during the call, or with the error of a read. May
    // destroy the stream.
    using Received = void (*)(void* owner, std::error_code error, std::span<char> bytes) noexcept;

    // Awaits received bytes; the outcome goes to `received`, never inside this call. `owner` must
    // live until then. False, without effect, where only a read can. REQUIRES: no read is pending,
    // and none begins before the outcome.
    [[nodiscard]] virtual bool await_bytes(Received received, void* owner) noexcept = 0;
    // Requests that the wait end with Errc::canceled; bytes may be its outcome all the same. No
    // effect without a wait. Closing the stream ends it with Errc::closed.
    virtual void stop_awaiting() noexcept = 0;

protected:
    ~IdleReceive() = default;
};

// Null if the stream does not have it.
inline IdleReceive* idle_receive_of(Stream& stream) noexcept {
    return dynamic_cast<IdleReceive*>(&stream);
}

}  // namespace uaio
