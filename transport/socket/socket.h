// A connected socket on the engine's side: its writes and its reads. Tcp and unix streams are the
// same but for how they are made.
#pragma once

#include "transport/socket/descriptor.h"
#include "transport/socket/read_queue.h"
#include "transport/socket/write_queue.h"

namespace uaio {

class Socket final : public Descriptor {
public:
    // Takes over `fd`, a connected stream socket.
    Socket(EngineCore& core, int fd, const StreamOptions& options) noexcept;

    WriteQueue& writes() noexcept { return writes_; }
    ReadQueue& reads() noexcept { return reads_; }

    // Whether an end of stream is a reset of the peer's in truth. The kernel tells of a reset once,
    // to whichever call meets it first, and not at all to a MSG_WAITALL transfer that had got some
    // bytes; a read behind that sees an end.
    bool was_reset() noexcept;

    static void start_write(Aio& aio) noexcept;
    static void start_write_all(Aio& aio) noexcept;
    static void start_read(Aio& aio) noexcept;
    static void start_read_all(Aio& aio) noexcept;

private:
    template <auto kQueue>
    static void start(Aio& aio, bool all) noexcept;
    void end_operations() noexcept override;
    bool in_kernel() const noexcept override { return writes_.in_kernel() || reads_.in_kernel(); }
    bool holds_aios() const noexcept override { return in_kernel() || writes_.holds_aios(); }

    WriteQueue writes_;
    ReadQueue reads_;
};

}  // namespace uaio
