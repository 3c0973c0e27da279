// The start of the usual operation, inline: submitted in a turn of its engine, without a deadline,
// by an Aio that was not stopped. Everything else goes through Provider::submit(), whose effects
// these are. Engine's thread.
#pragma once

#include <uaio/provider.h>

#include "base/check.h"
#include "engine/core.h"

namespace uaio {

class UsualStart {
public:
    UsualStart() = delete;

    // Accepts `aio` for an operation of `owner`, on the engine of `core`, which the caller begins
    // at once. False, without effect, if it is not the usual one. REQUIRES: a turn of that engine.
    static bool accept(EngineCore& core, Aio& aio, void* owner) noexcept {
        DCHECK(EngineCore::turns_here(core));
        const Aio::Phase phase = aio.phase_.load(std::memory_order_relaxed);
        const unsigned unusual =
            static_cast<unsigned>(aio.has_deadline_.load(std::memory_order_relaxed)) |
            static_cast<unsigned>(Provider::stopped(aio));
        if ((unusual | static_cast<unsigned>(aio.ended_early_)) != 0) [[unlikely]] {
            if (unusual != 0 || phase != Aio::Phase::idle) return false;
            Provider::forget_end(aio);
        }
        if (&EngineCore::of(*aio.engine_) != &core) return false;
        if (phase == Aio::Phase::idle) [[likely]] {
            DCHECK(!aio.canceler_ && aio.notifications_ == 0 && !aio.timer_.previous);
            std::atomic<std::uint32_t>& generation = aio.completion_.generation;
            generation.store(generation.load(std::memory_order_relaxed) + 1,
                             std::memory_order_release);
            aio.count_ = 0;
            core.loop().count_operation();
        } else {
            if (phase != Aio::Phase::forwarding || aio.cursor_.done()) return false;
            aio.canceler_ = nullptr;
        }
        aio.phase_.store(Aio::Phase::active, std::memory_order_relaxed);
        aio.owner_ = owner;
        return true;
    }

    // The buffer of an Aio that has only one, with 1 to `most` bytes, or null.
    static const iovec* only_buffer(const Aio& aio, std::size_t most) noexcept {
        if (aio.cursor_.entries() != 1) return nullptr;
        const iovec& entry = *aio.cursor_.base();
        return entry.iov_base && entry.iov_len - 1 < most ? &entry : nullptr;
    }

    // Provider::begin() right after accept().
    template <Handler kHandler>
    static io_uring_sqe& begin(EngineCore& core, Aio& aio) noexcept {
        aio.completion_.handler = [](Completion& completion, int result, unsigned flags) noexcept {
            return kHandler(Aio::of(completion), result, flags);
        };
        return core.loop().ring().begin(aio.completion_);
    }
};

}  // namespace uaio
