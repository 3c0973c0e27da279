// Names the limit behind an errno of a call that makes a descriptor. Any thread.
#pragma once

#include <cerrno>

namespace uaio {

// The second half of a sentence that begins with the call; null for an errno that names no limit.
inline const char* limit_behind(int error) noexcept {
    switch (error) {
        case EMFILE:
            return "found no free descriptor in this process; raise RLIMIT_NOFILE (ulimit -n)";
        case ENFILE: return "found no free file in this system; raise the sysctl fs.file-max";
        case ENOSPC:
            return "reached the user's limit of watches; raise the sysctl "
                   "fs.epoll.max_user_watches";
        default: return nullptr;
    }
}

}  // namespace uaio
