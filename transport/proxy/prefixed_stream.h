// A stream whose first bytes were read already: by whoever spoke with a proxy, and read in blocks.
// They come first, to whoever reads; from then on, and for everything else, it is the stream below.
#pragma once

#include <uaio/stream.h>

#include <string>

namespace uaio::proxy {

// `lower` with `first` before what it has to read; `lower` itself if that is empty. `engine` is
// that of `lower`. Throws std::bad_alloc, and `lower` stays the caller's then. Any thread.
StreamPtr prefixed(Engine& engine, StreamPtr&& lower, std::string first);

// What nobody has read yet of the bytes before `stream`, for who reads the descriptor below by
// itself; the stream goes on behind them. Empty for any other stream. On the engine's thread, while
// no read is under way.
std::string take_first(Stream& stream) noexcept;

}  // namespace uaio::proxy
