// Runs a dialogue over a stream: writes its requests, reads the answers in blocks, and leaves bytes
// after them to the next reader of the stream.
#pragma once

#include <uaio/stream.h>

#include "transport/proxy/dialogue.h"

namespace uaio::proxy {

// Completes without an error when the dialogue is done; `stream` then carries the bytes after it,
// and may be another object, over the given one. After an error, `stream` is not null, but closed.
// Stream, dialogue and variable must live until the callback. Cancel and deadline complete when the
// operation of the stream below has ended. Errors beside those of the dialogue and of the stream:
// closed_early for its end, not_enough_memory. Does not use the Aio's buffers. Allocates. Any
// thread.
void run(Dialogue& dialogue, StreamPtr& stream, Aio& aio) noexcept;

}  // namespace uaio::proxy
