// The listeners of one acceptor factory: they share one listening socket, each by a descriptor of
// its own, so that the engines of a group accept from one queue and no other program can join in,
// as it could with SO_REUSEPORT. Any thread.
#pragma once

#include <uaio/engine.h>

#include <mutex>
#include <vector>

namespace uaio {

class SocketShare {
public:
    // EngineObject while a listener is made, so that only the first of them binds.
    std::mutex& mutex() noexcept { return mutex_; }

    // REQUIRES: mutex(). A descriptor of the socket that an engine on such a kernel can use, -1 if
    // there is none. The kinds do not mix: epoll makes the socket non-blocking, which io_uring
    // takes for the wish not to wait.
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
    void join(int fd, KernelKind kind) { members_.push_back({fd, kind}); }

    // REQUIRES: mutex(). Of a listener that could not be made.
    void forget(int fd) noexcept {
        std::erase_if(members_, [fd](const Member& member) { return member.fd == fd; });
    }

    // Before the descriptor is closed. True for the last one, which ends the listening.
    bool leave(int fd) noexcept {
        const std::lock_guard lock(mutex_);
        forget(fd);
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
