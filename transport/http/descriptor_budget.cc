#include "transport/http/descriptor_budget.h"

#include <sys/resource.h>

namespace uaio::http {

bool DescriptorBudget::has_room(int newest, std::size_t spare) noexcept {
    rlimit limit{};
    if (newest < 0 || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    // The numbers of a simulated kernel are above all that a process can have.
    if (static_cast<rlim_t>(newest) >= limit.rlim_cur) return true;
    // A file is open as long as its response is on its way: every connection may have one.
    const bool files = files_.load(std::memory_order_relaxed) > 0;
    const std::size_t wanted = spare + (files ? connections_.load(std::memory_order_relaxed) : 0);
    return static_cast<rlim_t>(newest) + 1 + wanted < limit.rlim_cur;
}

}  // namespace uaio::http
