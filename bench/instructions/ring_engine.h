// An engine on io_uring for the works, and its smallest operation. Engine's thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include <liburing.h>

namespace uaio::bench {

// The options of an engine on io_uring, whatever UAIO_KERNEL says.
inline EngineOptions on_io_uring() {
    EngineOptions options;
    options.kernel = KernelKind::io_uring;
    return options;
}

inline Outcome on_nop(Aio&, int, unsigned) noexcept { return Outcome::finished; }

// Completes in the turn after this one.
inline void submit_nop(Engine& engine, Aio& aio) {
    constexpr auto kStart = [](Aio& started) noexcept {
        io_uring_prep_nop(&Provider::begin<&on_nop>(started));
    };
    Provider::submit(engine, aio, kStart, nullptr);
}

}  // namespace uaio::bench
