// The descriptor table of the simulated kernel. Numbers begin at a million, so that a real system
// call on one fails, and the lowest free one is reused first, as in Unix, so that a use after close
// finds another socket. For the kernel's thread.
#pragma once

#include "base/check.h"
#include "engine/kernel/sim/sim_socket.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace uaio {

class SimDescriptors {
public:
    static constexpr int kFirst = 1'000'000;

    // `limit` 0: any number.
    explicit SimDescriptors(std::size_t limit) noexcept : limit_(limit) {}

    bool full() const noexcept { return limit_ > 0 && open_ >= limit_; }
    std::size_t open() const noexcept { return open_; }

    // REQUIRES: !full().
    int add(SimSocket& socket) {
        DCHECK(!full() && std::ranges::count(sockets_, &socket) == 0);
        std::size_t index = 0;
        while (index < sockets_.size() && sockets_[index])
            ++index;
        if (index == sockets_.size()) sockets_.push_back(nullptr);
        sockets_[index] = &socket;
        ++open_;
        DCHECK(invariants_hold());
        return kFirst + static_cast<int>(index);
    }

    SimSocket* find(int fd) const noexcept {
        const std::size_t index = static_cast<std::size_t>(fd) - kFirst;
        return fd >= kFirst && index < sockets_.size() ? sockets_[index] : nullptr;
    }

    // Returns the socket of the removed descriptor; null if there is none.
    SimSocket* remove(int fd) noexcept {
        SimSocket* const socket = find(fd);
        if (!socket) return nullptr;
        sockets_[static_cast<std::size_t>(fd) - kFirst] = nullptr;
        --open_;
        DCHECK(invariants_hold());
        return socket;
    }

private:
    bool invariants_hold() const noexcept {
        const auto free = std::ranges::count(sockets_, nullptr);
        return open_ + static_cast<std::size_t>(free) == sockets_.size();
    }

    const std::size_t limit_;
    std::vector<SimSocket*> sockets_;
    std::size_t open_ = 0;
};

}  // namespace uaio
