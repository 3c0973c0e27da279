#include "tests/differential/driver.h"

namespace differential {

void Record::end(Ending ending) {
    if (hook_) std::exchange(hook_, nullptr)();
    const std::lock_guard lock(mutex_);
    endings_.push_back(std::move(ending));
    ended_.notify_all();
}

bool Record::wait(std::size_t callbacks, std::chrono::milliseconds patience) const {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, patience, [&] { return endings_.size() >= callbacks; });
}

std::vector<Ending> Record::endings() const {
    const std::lock_guard lock(mutex_);
    return endings_;
}

}  // namespace differential
