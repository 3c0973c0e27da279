// The listening socket that the listeners of one acceptor factory share, each with a descriptor of
// its own: the engines of a group accept from one queue, and no other program can join in, as it
// could with SO_REUSEPORT. Any thread.
#pragma once

#include <uaio/engine.h>

#include "base/check.h"

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <vector>

namespace uaio {

class SocketShare {
public:
    // Held while a listener is created, so that only the first one binds.
    std::mutex& mutex() noexcept { return mutex_; }

    // REQUIRES: mutex(). Returns a descriptor that an engine with this kind of kernel can use, or
    // -1. The kinds do not mix: epoll makes the socket non-blocking, and io_uring then does not
    // wait.
    int find(KernelKind kind) const noexcept {
        for (const Member& member : members_) {
            if (member.kind == kind) return member.fd;
        }
        return -1;
    }
    bool listens() noexcept {
        const std::lock_guard lock(mutex_);
        return !members_.empty();
    }
    // REQUIRES: mutex(). Throws std::bad_alloc.
    void join(int fd, KernelKind kind) {
        DCHECK(std::ranges::none_of(members_, [fd](const Member& one) { return one.fd == fd; }));
        members_.push_back({fd, kind});
    }

    // REQUIRES: mutex(). Removes a descriptor, such as that of a listener that could not be
    // created. Returns how often it was there.
    std::size_t forget(int fd) noexcept {
        return std::erase_if(members_, [fd](const Member& member) { return member.fd == fd; });
    }

    // Call before the descriptor is closed. True for the last one, whose close ends the listening.
    bool leave(int fd) noexcept {
        const std::lock_guard lock(mutex_);
        [[maybe_unused]] const std::size_t left = forget(fd);
        DCHECK(left == 1);  // each listener leaves once
        return members_.empty();
    }

private:
    struct Member {
        int fd;
        KernelKind kind;
    };

    std::mutex mutex_;
    std::vector<Member> members_;
};

}  // namespace uaio
