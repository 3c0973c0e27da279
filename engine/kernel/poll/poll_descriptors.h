// The descriptors that operations of a PollKernel wait for, by number: the waiting operations, and
// the events that its epoll set watches. A descriptor enters the set, edge-triggered, when an
// operation first waits for it, and stays there until it is closed. Engine's thread.
#pragma once

#include "engine/kernel/poll/poll_lists.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace uaio {

struct PollDescriptor {
    // How far the set's view of this number is reliable.
    enum class Origin : std::uint8_t {
        foreign,  // may be closed, and its number reused by another file, unnoticed
        ours,     // made by the kernel of this table, and closed by it
        held,     // a duplicate that keeps a closed file open while operations wait for it
    };

    PollQueue& queue(PollOperation::Side side) noexcept {
        return queues[static_cast<std::size_t>(side)];
    }
    bool idle() const noexcept {
        return queues[0].empty() && queues[1].empty() && queues[2].empty();
    }
    // True if the set reports the events that operations wait for, and a duplicate is still needed.
    bool is_consistent() const noexcept { return idle() ? origin != Origin::held : interest != 0; }

    std::array<PollQueue, 3> queues;  // by PollOperation::Side
    std::uint32_t interest = 0;       // events that the set watches; 0: not in the set
    Origin origin = Origin::foreign;
};

class PollDescriptors {
public:
    // `epoll` must outlive it.
    explicit PollDescriptors(int epoll) noexcept : epoll_(epoll) {}
    // Closes the duplicates it holds.
    ~PollDescriptors();
    PollDescriptors(const PollDescriptors&) = delete;
    PollDescriptors& operator=(const PollDescriptors&) = delete;

    // Null for a number that no operation ever waited for. A later add() may move the entries.
    PollDescriptor* find(int fd) noexcept;
    // Numbers below this one may have an entry.
    int end() const noexcept { return static_cast<int>(table_.size()); }

    // Puts `fd` into the set, or adds to its interest. 0, or a negative errno of epoll_ctl(2), of
    // which -EPERM means a file that is always ready.
    int watch(int fd, std::uint32_t interest) noexcept;

    // Queues `operation`, whose attempt() returned -EAGAIN, so that epoll reports readiness from
    // then on. 0, or an error of watch(), and then it is in no queue.
    int add(PollOperation& operation) noexcept;
    void remove(PollOperation& operation) noexcept;

    // `fd` is a new descriptor that only this kernel will close. REQUIRES: no operation waits for
    // it.
    void adopt(int fd) noexcept;
    // Prepares for a close of `fd`. Its operations go on waiting, as on an io_uring, which holds
    // the file: they move to a duplicate. False if there can be none: then nothing has changed.
    bool release(int fd) noexcept;

private:
    PollDescriptor* get(int fd) noexcept;
    bool hold(int fd) noexcept;

    int epoll_;
    std::vector<PollDescriptor> table_;
};

}  // namespace uaio
