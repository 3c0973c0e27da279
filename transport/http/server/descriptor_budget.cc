#include "transport/http/server/descriptor_budget.h"

#include "base/check.h"

#include <sys/resource.h>

#include <algorithm>

namespace uaio::http {

DescriptorBudget::Files::~Files() {
    [[maybe_unused]] const std::size_t before = files_.fetch_sub(1, std::memory_order_relaxed);
    DCHECK(before > 0);
}

bool DescriptorBudget::has_room(int newest, std::size_t spare) noexcept {
    rlimit limit{};
    if (newest < 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    // A simulated kernel uses numbers above any that a process can have.
    if (static_cast<rlim_t>(newest) >= limit.rlim_cur) return true;
    // A file is open while its response is being sent. Every connection may have one, but of
    // thousands most are idle: one for each would halve the connections that a server can hold.
    std::size_t files = 0;
    if (files_.load(std::memory_order_relaxed) > 0) {
        const std::size_t most = std::max<std::size_t>(64, limit.rlim_cur / 8);
        files = std::min(connections_.load(std::memory_order_relaxed), most);
    }
    return static_cast<rlim_t>(newest) + 1 + spare + files < limit.rlim_cur;
}

}  // namespace uaio::http
