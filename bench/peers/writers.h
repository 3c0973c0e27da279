// The baselines of write_all(): programs that write the same buffers repeatedly to the same socket
// with plain system calls. One thread, the benchmark's.
#pragma once

#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"
#include "bench/support/meter.h"

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

namespace uaio::bench {

// Blocking writev(2), called again after a short write.
class WritevWriter {
public:
    WritevWriter(std::uint16_t port, std::span<const iovec> buffers);
    void run(Meter& meter);

private:
    Descriptor socket_;
    std::vector<iovec> buffers_;
    std::vector<iovec> rest_;  // of a partly written list
};

// IORING_OP_SENDMSG with MSG_WAITALL, one at a time, and again after a short one.
class SendmsgWriter {
public:
    SendmsgWriter(std::uint16_t port, std::span<const iovec> buffers);
    void run(Meter& meter);

private:
    std::size_t send(std::span<iovec> buffers);

    Descriptor socket_;
    RawRing ring_;
    std::vector<iovec> buffers_;
    std::vector<iovec> rest_;
};

}  // namespace uaio::bench
