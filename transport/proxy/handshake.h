// Runs a dialogue over a stream: writes what it says, reads the answers in blocks, and leaves what
// came behind them to whoever reads the stream next.
#pragma once

#include <uaio/stream.h>

#include "transport/proxy/dialogue.h"

namespace uaio::proxy {

// When the Aio completes without an error, `stream` carries what follows the dialogue; it may be
// another object then, over the one that was given. After an error it is there, and of no more use.
// Stream, dialogue and variable must live until the callback. Cancel and deadline end it when the
// stream below has let go. Errors beside those of the dialogue and of the stream: closed_early for
// its end, not_enough_memory. The Aio's vector is not used. Allocates. Any thread.
void run(Dialogue& dialogue, StreamPtr& stream, Aio& aio) noexcept;

}  // namespace uaio::proxy
