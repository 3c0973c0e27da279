// The limit of descriptors. Any thread.
#pragma once

#include <sys/resource.h>

namespace uaio::bench {

// Permits this process as many as the system does: each end of 10,000 connections is one.
inline void allow_many_descriptors() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace uaio::bench
