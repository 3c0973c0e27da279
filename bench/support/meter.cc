#include "bench/support/meter.h"

namespace uaio::bench {

bool Meter::next_phase() {
    switch (phase_) {
        case Phase::warming:
            phase_ = Phase::measuring;
            left_ = static_cast<std::uint64_t>(state_.max_iterations);
            if (side_) side_->start();
            return state_.KeepRunningBatch(state_.max_iterations);
        case Phase::measuring:
            phase_ = Phase::over;
            left_ = 0;
            state_.KeepRunningBatch(state_.max_iterations);  // stops the clock
            if (side_) side_->stop();
            return false;
        case Phase::over: break;
    }
    return false;
}

}  // namespace uaio::bench
