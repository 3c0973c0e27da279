#include "engine/kernel/sim/sim_events.h"

namespace uaio {

void SimEvents::move_to(Clock::time_point time) noexcept {
    if (time > now()) now_ns_.store(time.time_since_epoch().count(), std::memory_order_relaxed);
}

SimEvents::Key SimEvents::plan(Clock::time_point time, Kind kind, Action action,
                               std::uint64_t rank) {
    DCHECK(action || kind == Kind::user);
    DCHECK(time >= now() || kind == Kind::user);
    const Key key{time, rank, planned_++};
    events_.emplace(key, Event{kind, std::move(action)});
    return key;
}

SimEvents::Action SimEvents::happen() {
    DCHECK(due());
    auto event = events_.extract(events_.begin());
    step(event.mapped().kind);
    if (event.mapped().kind == Kind::user) return std::move(event.mapped().action);
    [[maybe_unused]] const Clock::time_point time = now();
    event.mapped().action();
    DCHECK(now() == time);
    return {};
}

void SimEvents::step(Kind kind) noexcept {
    ++steps_;
    mix(static_cast<std::uint64_t>(kind));
    mix(static_cast<std::uint64_t>(now_ns_.load(std::memory_order_relaxed)));
}

void SimEvents::pause_at(std::uint64_t step, Action action) {
    pauses_.emplace(step, std::move(action));
}

std::optional<SimEvents::Action> SimEvents::paused() {
    if (pauses_.empty() || pauses_.begin()->first > steps_) return std::nullopt;
    return std::move(pauses_.extract(pauses_.begin()).mapped());
}

// FNV-1a, a byte at a time.
void SimEvents::mix(std::uint64_t value) noexcept {
    for (int shift = 0; shift < 64; shift += 8) {
        fingerprint_ = (fingerprint_ ^ ((value >> shift) & 0xff)) * 0x100000001b3u;
    }
}

}  // namespace uaio
