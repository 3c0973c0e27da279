// A stream whose first bytes were already read, by a proxy's dialogue, which reads in blocks. It
// returns them first; otherwise it passes everything to the stream below.
#pragma once

#include <uaio/stream.h>

#include <string>

namespace uaio::proxy {

// Returns a stream that reads `first`, then `lower`; `lower` itself if `first` is empty. `engine`
// is that of `lower`. Throws std::bad_alloc, and leaves `lower` to the caller then. Any thread.
StreamPtr prefixed(Engine& engine, StreamPtr&& lower, std::string first);

// Takes the unread bytes of `first`, for a caller that reads the descriptor below itself; the
// stream continues after them. Empty for any other stream. Engine's thread, while no read is under
// way.
std::string take_first(Stream& stream) noexcept;

}  // namespace uaio::proxy
