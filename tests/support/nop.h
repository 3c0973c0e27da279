// The smallest operation there is: an IORING_OP_NOP, for tests of the engine alone. Any thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include <liburing.h>

namespace uaio {

inline void start_nop(Aio& aio) noexcept {
    if (provider::stopped(aio)) return provider::finish(aio, Errc::canceled);
    if (provider::expired(aio)) return provider::finish(aio, Errc::timed_out);
    io_uring_sqe& sqe = provider::begin(aio, [](Aio& done, int result, unsigned) noexcept {
        provider::set_error(done, result < 0 ? error_from_result(result) : std::error_code());
        return Outcome::finished;
    });
    io_uring_prep_nop(&sqe);
}

inline bool submit_nop(Aio& aio) {
    return provider::submit(aio.engine(), aio, &start_nop, nullptr);
}

// Parks the Aio until somebody cancels it.
inline bool submit_parked(Aio& aio) {
    return provider::submit(
        aio.engine(), aio,
        [](Aio& started) noexcept {
            provider::park(started, [](Aio& canceled) noexcept {
                provider::finish(canceled, provider::cancel_reason(canceled));
            });
        },
        nullptr);
}

}  // namespace uaio
