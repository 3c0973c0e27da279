// An engine on io_uring for the works, and its smallest operation. Engine's thread, but ring_sizes.
#pragma once

#include <uaio/engine.h>
#include <uaio/provider.h>

#include <liburing.h>

namespace uaio::bench {

// From the command line; set before a work runs.
struct RingSizes {
    unsigned entries = EngineOptions().entries;
    unsigned completions = EngineOptions().completions;
};
inline RingSizes ring_sizes;

// The options of an engine on io_uring, whatever UAIO_KERNEL says.
inline EngineOptions on_io_uring() {
    EngineOptions options;
    options.entries = ring_sizes.entries;
    options.completions = ring_sizes.completions;
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
