// The smallest operation: an IORING_OP_NOP, for tests of the engine alone. Any thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include <liburing.h>

namespace uaio {

inline Outcome end_nop(Aio& aio, int result, unsigned) noexcept {
    Provider::set_error(aio, result < 0 ? error_from_result(result) : std::error_code());
    return Outcome::finished;
}

inline void start_nop(Aio& aio) noexcept {
    if (Provider::stopped(aio)) return Provider::finish(aio, Errc::canceled);
    if (Provider::expired(aio)) return Provider::finish(aio, Errc::timed_out);
    io_uring_prep_nop(&Provider::begin<&end_nop>(aio));
}

inline bool submit_nop(Aio& aio) {
    return Provider::submit(aio.engine(), aio, &start_nop, nullptr);
}

// Parks the Aio until it is cancelled.
inline bool submit_parked(Aio& aio) {
    return Provider::submit(
        aio.engine(), aio,
        [](Aio& started) noexcept {
            Provider::park(started, [](Aio& canceled) noexcept {
                Provider::finish(canceled, Provider::cancel_reason(canceled));
            });
        },
        nullptr);
}

}  // namespace uaio
