#include "engine/kernel/poll/poll_descriptors.h"

#include "base/check.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace uaio {
namespace {

constexpr std::size_t kFirstDescriptors = 64;

static_assert(std::tuple_size_v<decltype(PollDescriptor::queues)> ==
              static_cast<std::size_t>(PollOperation::Side::observer) + 1);

int control(int epoll, int operation, int fd, std::uint32_t events) noexcept {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.fd = fd;
    return ::epoll_ctl(epoll, operation, fd, &event) < 0 ? -errno : 0;
}

}  // namespace

PollDescriptors::~PollDescriptors() {
    for (int fd = 0; fd < end(); ++fd) {
        DCHECK(find(fd)->is_consistent());
        if (find(fd)->origin == PollDescriptor::Origin::held) ::close(fd);
    }
}

PollDescriptor* PollDescriptors::find(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    return fd >= 0 && index < table_.size() ? &table_[index] : nullptr;
}

PollDescriptor* PollDescriptors::get(int fd) noexcept {
    DCHECK(fd >= 0);
    const auto index = static_cast<std::size_t>(fd);
    if (index >= table_.size()) {
        try {
            table_.resize(std::max({index + 1, table_.size() * 2, kFirstDescriptors}));
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }
    return &table_[index];
}

int PollDescriptors::add(PollOperation& operation) noexcept {
    const int error = watch(operation.fd(), operation.interest());
    if (error != 0) return error;
    PollDescriptor& descriptor = *find(operation.fd());
    descriptor.queue(operation.side()).push_back(operation);
    DCHECK(descriptor.is_consistent());
    return 0;
}

void PollDescriptors::remove(PollOperation& operation) noexcept {
    PollDescriptor* const descriptor = find(operation.fd());
    DCHECK(descriptor && !descriptor->idle());
    descriptor->queue(operation.side()).remove(operation);
    if (descriptor->origin == PollDescriptor::Origin::held && descriptor->idle()) {
        *descriptor = PollDescriptor{};
        ::close(operation.fd());
    }
    DCHECK(descriptor->is_consistent());
}

// epoll reports an earlier edge again only if epoll_ctl(2) is called, which checks readiness. That
// call is saved where the set is known to hold this very file and each waiting operation was
// attempted. A number whose file may have changed unnoticed is entered again each time an operation
// begins to wait; epoll drops closed files silently, so nothing else would report it.
int PollDescriptors::watch(int fd, std::uint32_t interest) noexcept {
    DCHECK(interest != 0);
    PollDescriptor* const descriptor = get(fd);
    if (!descriptor) return -ENOMEM;
    const std::uint32_t wanted = descriptor->interest | interest;
    const bool foreign = descriptor->origin == PollDescriptor::Origin::foreign;
    if (wanted == descriptor->interest && !(foreign && descriptor->idle())) return 0;
    const int first = descriptor->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int error = control(epoll_, first, fd, wanted);
    if (error == -ENOENT) error = control(epoll_, EPOLL_CTL_ADD, fd, wanted);
    if (error == -EEXIST) error = control(epoll_, EPOLL_CTL_MOD, fd, wanted);
    if (error == 0) descriptor->interest = wanted;
    return error;
}

void PollDescriptors::adopt(int fd) noexcept {
    // Without memory for its entry it stays foreign.
    PollDescriptor* const descriptor = get(fd);
    if (!descriptor) return;
    DCHECK(descriptor->idle());
    descriptor->interest = 0;
    descriptor->origin = PollDescriptor::Origin::ours;
}

bool PollDescriptors::release(int fd) noexcept {
    PollDescriptor* const descriptor = find(fd);
    if (!descriptor) return true;
    if (!descriptor->idle() && !hold(fd)) return false;
    // close(2) does not remove it while a duplicate, made by a fork perhaps, keeps the file open.
    PollDescriptor& closed = *find(fd);
    if (closed.interest) control(epoll_, EPOLL_CTL_DEL, fd, 0);
    DCHECK(closed.idle());
    closed = PollDescriptor{};
    return true;
}

bool PollDescriptors::hold(int fd) noexcept {
    const int held = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (held < 0) return false;
    PollDescriptor* const to = get(held);
    PollDescriptor& from = *find(fd);
    // An entry in use belongs to a file that was closed unnoticed.
    const bool usable = to && to->idle();
    if (usable) *to = PollDescriptor{};
    if (!usable || watch(held, from.interest) < 0) {
        ::close(held);
        return false;
    }
    to->origin = PollDescriptor::Origin::held;
    to->queues = from.queues;
    from.queues = {};
    for (const PollQueue& queue : to->queues) {
        for (PollOperation* waiting = queue.front(); waiting;
             waiting = PollQueue::after(*waiting)) {
            DCHECK(waiting->fd() == fd);
            waiting->move_to(held);
        }
    }
    DCHECK(to->is_consistent());
    return true;
}

}  // namespace uaio
