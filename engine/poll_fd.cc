#include "engine/poll_fd.h"

#include <uaio/error.h>

#include "base/check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

namespace uaio {
namespace {

bool watch(int epoll, int fd) noexcept {
    if (epoll < 0 || fd < 0) return false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void close_if_open(int& fd) noexcept {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

}  // namespace

PollFd::~PollFd() { close(); }

void PollFd::close() noexcept {
    close_if_open(event_);
    close_if_open(timer_);
    int epoll = epoll_.exchange(-1);
    close_if_open(epoll);
}

// Makes each call only if those before it succeeded, so that errno is of the one that failed.
std::error_code PollFd::open(Kernel& kernel) noexcept {
    DCHECK(!is_open());
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll >= 0) event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ >= 0) timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    const int own = kernel.poll_fd();
    std::error_code error;
    if (!watch(epoll, event_) || !watch(epoll, timer_) || (own >= 0 && !watch(epoll, own))) {
        error = error_from_result(-errno);
    } else {
        error = kernel.notify(event_);
    }
    if (!error) {
        epoll_.store(epoll, std::memory_order_release);
        return {};
    }
    close_if_open(event_);
    close_if_open(timer_);
    close_if_open(epoll);
    return error;
}

void PollFd::signal() noexcept {
    DCHECK(is_open());
    const std::uint64_t one = 1;
    // The only failure is a counter that is full, and a full counter is readable.
    [[maybe_unused]] const ssize_t written = ::write(event_, &one, sizeof one);
    DCHECK(written == sizeof one || errno == EAGAIN);
}

void PollFd::consume() noexcept {
    DCHECK(is_open());
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t taken = ::read(event_, &count, sizeof count);
    if (armed_ns_ == TimerNode::kNoDeadline) return;
    if (::read(timer_, &count, sizeof count) > 0) armed_ns_ = TimerNode::kNoDeadline;
}

void PollFd::set_deadline(std::int64_t deadline_ns) noexcept {
    DCHECK(is_open());
    if (deadline_ns == armed_ns_) return;
    armed_ns_ = deadline_ns;
    itimerspec spec{};
    if (deadline_ns != TimerNode::kNoDeadline) {
        // Zero would disarm the timer (timerfd_settime(2)); a deadline that has passed must fire.
        const std::int64_t at = deadline_ns > 0 ? deadline_ns : 1;
        spec.it_value.tv_sec = at / 1'000'000'000;
        spec.it_value.tv_nsec = at % 1'000'000'000;
    }
    [[maybe_unused]] const int result = timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
    DCHECK(result == 0);
}

}  // namespace uaio
