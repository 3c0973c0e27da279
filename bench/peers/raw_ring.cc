#include "bench/peers/raw_ring.h"

#include <uaio/engine.h>

#include "bench/support/unavailable.h"

#include <cstring>
#include <string>

namespace uaio::bench {

RawRing::RawRing() {
    const EngineOptions same;
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = same.completions;
    const int result = io_uring_queue_init_params(same.entries, &ring_, &params);
    if (result < 0) {
        throw Unavailable(std::string("io_uring with deferred completion work: ") +
                          std::strerror(-result));
    }
    io_uring_register_ring_fd(&ring_);
}

io_uring_sqe* RawRing::next_after_submit() noexcept {
    io_uring_sqe* sqe = nullptr;
    while (!sqe) {
        io_uring_submit(&ring_);
        sqe = io_uring_get_sqe(&ring_);
    }
    return sqe;
}

}  // namespace uaio::bench
