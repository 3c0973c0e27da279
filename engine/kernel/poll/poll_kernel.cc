#include "engine/kernel/poll/poll_kernel.h"

#include "base/check.h"
#include "engine/kernel/limits.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace uaio {
namespace {

using std::chrono::nanoseconds;

[[noreturn]] void throw_set_up_error(int error, const char* call) {
    std::string what = "uaio: cannot set up epoll: ";
    what += call;
    if (const char* const limit = limit_behind(error)) {
        what += ' ';
        what += limit;
    } else if (error == ENOSYS || error == EPERM || error == EACCES) {
        what += " was refused; the seccomp profile of this container must allow it";
    } else {
        what += " failed";
    }
    throw std::system_error(error, std::system_category(), what);
}

// The bounds of io_uring_setup(2), so that the same options give the same rings.
unsigned submission_entries(const EngineOptions& options) noexcept {
    constexpr unsigned kSubmissionsMax = 32768;
    return std::clamp(options.entries, 1u, kSubmissionsMax);
}

unsigned completion_entries(const EngineOptions& options) noexcept {
    constexpr unsigned kCompletionsMax = 65536;
    return std::clamp(options.completions, 2 * submission_entries(options), kCompletionsMax);
}

int made(int fd, const char* call) {
    if (fd < 0) throw_set_up_error(errno, call);
    return fd;
}

timespec to_timespec(nanoseconds duration) noexcept {
    constexpr std::int64_t kSecond = 1'000'000'000;
    DCHECK(duration.count() >= 0);
    return {static_cast<time_t>(duration.count() / kSecond),
            static_cast<long>(duration.count() % kSecond)};
}

}  // namespace

PollKernel::OwnedFd::~OwnedFd() { reset(-1); }

void PollKernel::OwnedFd::reset(int fd) noexcept {
    if (fd_ >= 0) {
        [[maybe_unused]] const int closed = ::close(fd_);
        DCHECK(closed == 0);
    }
    fd_ = fd;
}

PollKernel::PollKernel(const EngineOptions& options, std::string reason)
    : memory_(submission_entries(options), completion_entries(options)),
      epoll_(made(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1(2)")),
      wake_(made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd(2)")),
      descriptors_(epoll_.get()) {
    kind_ = KernelKind::epoll;
    ring_ = memory_.view();
    reason_ = std::move(reason);
    // This kernel carries on a send with MSG_WAITALL itself, so its partial count cannot be lost.
    features_.send_waitall = true;
    descriptors_.adopt(wake_.get());
    const int error = descriptors_.watch(wake_.get(), EPOLLIN);
    if (error < 0) throw_set_up_error(-error, "epoll_ctl(2)");
    DCHECK(invariants_hold());
}

// Between two calls each operation that was taken waits, there is room for its completion, and the
// timer that retries exists if one needs it.
bool PollKernel::invariants_hold() const noexcept {
    const std::size_t waiting = waiting_.size();
    const bool timed = retries_.empty() || retry_timer_.get() >= 0;
    return pool_.in_use() == waiting && retries_.size() <= waiting && timed &&
           memory_.has_room(waiting) && ring_.is_consistent();
}

int PollKernel::enter(unsigned wait, Clock::time_point deadline) noexcept {
    DCHECK(on_thread());
    DCHECK(invariants_hold());
    memory_.flush_overflow();
    const bool all_taken = take_submissions();
    // A wait for more completions than the ring holds would not end, as with io_uring_enter(2).
    wait = std::min(wait, memory_.completion_entries());
    for (;;) {
        const bool enough = memory_.ready() >= wait || memory_.overflowed() || !all_taken;
        // Collects events even then: a program whose turns always find enough would starve its
        // waiting operations.
        if (enough && waiting_.size() == 0) return all_taken ? 0 : -EAGAIN;
        std::optional<nanoseconds> max_wait;
        if (enough || woken_) {
            max_wait = nanoseconds(0);
        } else if (deadline != Clock::time_point::max()) {
            const Clock::time_point time = now();
            max_wait = time < deadline ? deadline - time : nanoseconds(0);
        }
        const int events = collect(max_wait);
        DCHECK(invariants_hold());
        if (enough && (events >= 0 || events == -EINTR)) return all_taken ? 0 : -EAGAIN;
        if (events < 0) return events;
        if (memory_.ready() >= wait || std::exchange(woken_, false)) return 0;
        if (events == 0) return -ETIME;
    }
}

void PollKernel::wake() noexcept {
    const std::uint64_t one = 1;
    // The only failure is a counter that is full, and then the wait is over already.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

std::error_code PollKernel::bind() noexcept {
    thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    return {};
}

// Without epoll_ctl(2): the parent shares the set.
void PollKernel::close_inherited() noexcept {
    epoll_.reset(-1);
    wake_.reset(-1);
    retry_timer_.reset(-1);
}

int PollKernel::socket(int domain, int type, int protocol) noexcept {
    const int fd = Kernel::socket(domain, type, protocol);
    if (fd >= 0 && on_thread()) adopt(fd);
    return fd;
}

int PollKernel::close(int fd) noexcept {
    if (on_thread() && !descriptors_.release(fd)) {
        cancel_descriptor(fd, true);
        [[maybe_unused]] const bool released = descriptors_.release(fd);
        DCHECK(released && invariants_hold());
    }
    return Kernel::close(fd);
}

// False if some stay in the ring, since there is no memory for their completions. An operation that
// was taken has room for its own completion, so that it can end without memory.
bool PollKernel::take_submissions() noexcept {
    io_uring_sqe sqe;
    while (memory_.queued() > 0) {
        if (!memory_.reserve(waiting_.size() + 1)) return false;
        memory_.take(sqe);
        carry_out(sqe);
        DCHECK(invariants_hold());
    }
    return true;
}

void PollKernel::carry_out(const io_uring_sqe& sqe) noexcept {
    if (sqe.flags & ~(IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS)) return answer(sqe, -EINVAL);
    switch (sqe.opcode) {
        case IORING_OP_NOP: return answer(sqe, 0);
        case IORING_OP_ASYNC_CANCEL: return answer(sqe, cancel(sqe));
        case IORING_OP_SHUTDOWN: return answer(sqe, shutdown(sqe.fd, static_cast<int>(sqe.len)));
        case IORING_OP_CLOSE: return answer(sqe, sqe.file_index ? -EINVAL : close(sqe.fd));
        default: return start(sqe);
    }
}

void PollKernel::start(const io_uring_sqe& sqe) noexcept {
    PollOperation* const operation = pool_.acquire();
    if (!operation) return answer(sqe, -ENOMEM);
    int result = operation->prepare(sqe);
    if (result == 0) {
        PollDescriptor* const descriptor = descriptors_.find(sqe.fd);
        const Side side = operation->side();
        const bool first = !descriptor || descriptor->queue(side).empty();
        result = first || side == Side::observer ? operation->attempt() : -EAGAIN;
        if (result == -EAGAIN && !operation->fails_instead_of_waiting()) {
            if (park(*operation, result)) return;
        }
    }
    end(*operation, result);
}

// False when it has ended after all, with `result`.
bool PollKernel::park(PollOperation& operation, int& result) noexcept {
    int error = operation.keep();
    if (error == 0) error = descriptors_.add(operation);
    if (error == -EPERM) {
        result = operation.attempt_blocking();
        return false;
    }
    if (error == 0 && operation.wants_retry() && !retry_later(operation)) {
        descriptors_.remove(operation);
        error = -EAGAIN;
    }
    if (error == 0) {
        waiting_.insert(operation);
        return true;
    }
    result = operation.result_of(-error);
    return false;
}

void PollKernel::withdraw(PollOperation& operation) noexcept {
    DCHECK(operation.is_waiting());
    if (operation.wants_retry()) std::erase(retries_, &operation);
    DCHECK(std::ranges::count(retries_, &operation) == 0);
    waiting_.remove(operation);
    descriptors_.remove(operation);
}

void PollKernel::end(PollOperation& operation, int result) noexcept {
    DCHECK(!operation.is_waiting());
    DCHECK(memory_.has_room(waiting_.size() + 1));
    if (!operation.silent(result)) memory_.post(operation.user_data(), result, 0);
    if (operation.makes_descriptor() && result >= 0) adopt(result);
    pool_.release(operation);
}

void PollKernel::answer(const io_uring_sqe& sqe, int result) noexcept {
    DCHECK(memory_.has_room(waiting_.size() + 1));
    if (result >= 0 && (sqe.flags & IOSQE_CQE_SKIP_SUCCESS)) return;
    memory_.post(sqe.user_data, result, 0);
}

// The number of events handled, or a negative errno of epoll_wait(2).
int PollKernel::collect(std::optional<nanoseconds> max_wait) noexcept {
    const int count = wait_in_epoll(max_wait);
    for (int i = 0; i < count; ++i)
        handle(events_[static_cast<std::size_t>(i)]);
    return count;
}

int PollKernel::wait_in_epoll(std::optional<nanoseconds> max_wait) noexcept {
    constexpr int kMaxEvents = static_cast<int>(kBatch);
    if (precise_ && max_wait && *max_wait > nanoseconds(0)) {
        const timespec timeout = to_timespec(*max_wait);
        const int count =
            ::epoll_pwait2(epoll_.get(), events_.data(), kMaxEvents, &timeout, nullptr);
        if (count >= 0) return count;
        // Seccomp profiles return EPERM for system calls that are newer than themselves.
        if (errno != ENOSYS && errno != EPERM) return -errno;
        precise_ = false;
    }
    int milliseconds = -1;
    if (max_wait) {
        // Rounded up: a wait that ends early would only have to begin again.
        const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(*max_wait).count();
        milliseconds = static_cast<int>(std::min<std::int64_t>(rounded, INT32_MAX));
    }
    const int count = ::epoll_wait(epoll_.get(), events_.data(), kMaxEvents, milliseconds);
    return count < 0 ? -errno : count;
}

void PollKernel::handle(const epoll_event& event) noexcept {
    const int fd = event.data.fd;
    if (fd == retry_timer_.get()) return retry();
    DCHECK(descriptors_.find(fd) != nullptr);
    if (fd == wake_.get() && descriptors_.find(fd)->idle()) woken_ = true;
    if (event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) carry_on(fd, Side::reader);
    if (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) carry_on(fd, Side::writer);
    observe(fd);
}

// Attempts the operations of a queue until one has to wait.
void PollKernel::carry_on(int fd, Side side) noexcept {
    for (;;) {
        // Looked up again each time: an accept may have made the table grow.
        PollDescriptor* const descriptor = descriptors_.find(fd);
        PollOperation* const operation = descriptor ? descriptor->queue(side).front() : nullptr;
        if (!operation) return;
        const bool retried = operation->wants_retry();
        const int result = operation->attempt();
        if (result == -EAGAIN && !operation->fails_instead_of_waiting()) {
            const bool refused = operation->wants_retry() && !retried;
            if (!refused || retry_later(*operation)) return;
        }
        withdraw(*operation);
        end(*operation, result);
    }
}

void PollKernel::observe(int fd) noexcept {
    PollDescriptor* const descriptor = descriptors_.find(fd);
    if (!descriptor) return;
    for (PollOperation* operation = descriptor->queue(Side::observer).front(); operation;) {
        PollOperation* const next = PollQueue::after(*operation);
        const int result = operation->attempt();
        if (result != -EAGAIN) {
            withdraw(*operation);
            end(*operation, result);
        }
        operation = next;
    }
}

// The result that io_uring_enter(2) documents for IORING_OP_ASYNC_CANCEL: the number of operations
// for the flags that match many, else 0 or -ENOENT.
int PollKernel::cancel(const io_uring_sqe& sqe) noexcept {
    constexpr unsigned kKnown =
        IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY;
    const unsigned flags = sqe.cancel_flags;
    const bool all = flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    const bool by_descriptor = flags & IORING_ASYNC_CANCEL_FD;
    if (flags & ~kKnown) return -EINVAL;
    int count = 0;
    if (flags & IORING_ASYNC_CANCEL_ANY) {
        if (by_descriptor) return -EINVAL;
        for (int fd = 0; fd < descriptors_.end(); ++fd)
            count += cancel_descriptor(fd, true);
        DCHECK(waiting_.size() == 0);
    } else if (by_descriptor) {
        count = cancel_descriptor(sqe.fd, all);
    } else {
        count = cancel_by_user_data(sqe.addr, all);
    }
    if (all) return count;
    return count > 0 ? 0 : -ENOENT;
}

int PollKernel::cancel_by_user_data(std::uint64_t user_data, bool all) noexcept {
    int count = 0;
    while (PollOperation* const operation = waiting_.find(user_data)) {
        const int fd = operation->fd();
        const Side side = operation->side();
        withdraw(*operation);
        end(*operation, operation->result_of(ECANCELED));
        // The operation behind it may have waited for this one alone.
        if (side != Side::observer) carry_on(fd, side);
        ++count;
        if (!all) break;
    }
    return count;
}

int PollKernel::cancel_descriptor(int fd, bool all) noexcept {
    int count = 0;
    for (const Side side : {Side::reader, Side::writer, Side::observer}) {
        for (;;) {
            PollDescriptor* const descriptor = descriptors_.find(fd);
            PollOperation* const operation = descriptor ? descriptor->queue(side).front() : nullptr;
            if (!operation) break;
            withdraw(*operation);
            end(*operation, operation->result_of(ECANCELED));
            ++count;
            if (all) continue;
            if (side != Side::observer) carry_on(fd, side);
            return count;
        }
    }
    return count;
}

void PollKernel::adopt(int fd) noexcept {
    // Operations that still wait under this number wait for a file that was closed unnoticed.
    cancel_descriptor(fd, true);
    descriptors_.adopt(fd);
}

// epoll does not report room in the queue of a unix listener, so a timer retries. It lies in the
// epoll set, so that poll_fd() covers it too. False when there can be no timer.
bool PollKernel::retry_later(PollOperation& operation) noexcept {
    if (retry_timer_.get() < 0) {
        retry_timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (retry_timer_.get() < 0) return false;
        descriptors_.adopt(retry_timer_.get());
        if (descriptors_.watch(retry_timer_.get(), EPOLLIN) < 0) {
            retry_timer_.reset(-1);
            return false;
        }
    }
    DCHECK(std::ranges::count(retries_, &operation) == 0);
    try {
        retries_.push_back(&operation);
    } catch (const std::bad_alloc&) {
        return false;
    }
    set_retry_timer(kRetryInterval);
    return true;
}

void PollKernel::retry() noexcept {
    std::uint64_t expirations = 0;
    if (::read(retry_timer_.get(), &expirations, sizeof expirations) < 0) return;
    for (std::size_t i = 0; i < retries_.size();) {
        PollOperation* const operation = retries_[i];
        carry_on(operation->fd(), Side::writer);
        // An operation that has ended has left the list, and the next took its place.
        if (i < retries_.size() && retries_[i] == operation) ++i;
    }
    if (retries_.empty()) set_retry_timer(nanoseconds(0));
}

void PollKernel::set_retry_timer(nanoseconds interval) noexcept {
    DCHECK(retry_timer_.get() >= 0);
    const itimerspec spec{to_timespec(interval), to_timespec(interval)};
    ::timerfd_settime(retry_timer_.get(), 0, &spec, nullptr);
}

}  // namespace uaio
