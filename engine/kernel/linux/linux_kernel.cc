#include "engine/kernel/linux/linux_kernel.h"

#include <uaio/error.h>

#include "base/check.h"
#include "engine/kernel/features.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <span>
#include <string>
#include <thread>
#include <type_traits>

namespace uaio {
namespace {

constexpr unsigned kEntriesMax = 32768;  // IORING_MAX_ENTRIES
constexpr unsigned kEntriesMin = 8;      // below that a set-up does not fail for lack of memory
static_assert(std::has_single_bit(kEntriesMax));

constexpr int kRegisteredRings = 16;  // of one thread, IO_RINGFD_REG_MAX

// Features of Linux 5.19 that memory and results depend on: completions are not dropped, iovec
// lists and addresses may be reused after io_uring_enter(2), and that call takes a timeout.
constexpr unsigned kFeatures = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;

struct Rung {
    unsigned flags;
    const char* name;
};

// Tried in this order; a kernel without one of the flags returns EINVAL.
constexpr unsigned kAlways = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
constexpr Rung kLadder[] = {
    {kAlways | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
         IORING_SETUP_SUBMIT_ALL,
     "io_uring with deferred completion work"},
    {kAlways | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
         IORING_SETUP_SUBMIT_ALL,
     "io_uring with cooperative completion work, as on Linux 6.0"},
    {kAlways | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
     "io_uring with cooperative completion work, as on Linux 5.19"},
};
// A polling kernel thread excludes deferred completion work.
constexpr Rung kPolledLadder[] = {
    {kAlways | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SQPOLL |
         IORING_SETUP_SUBMIT_ALL,
     "io_uring with a polling kernel thread"},
    {kAlways | IORING_SETUP_SQPOLL | IORING_SETUP_SUBMIT_ALL,
     "io_uring with a polling kernel thread, as on Linux 5.19"},
};

// The rules of io_uring_setup(2), and one of this kernel: a ring with a single issuer is enabled by
// bind(), since another thread may have made it.
constexpr bool is_valid(const Rung& rung) noexcept {
    const auto has = [&rung](unsigned flag) { return (rung.flags & flag) != 0; };
    const bool single = has(IORING_SETUP_SINGLE_ISSUER);
    const bool task_run = has(IORING_SETUP_COOP_TASKRUN) || has(IORING_SETUP_DEFER_TASKRUN);
    return (single || !has(IORING_SETUP_DEFER_TASKRUN)) &&
           !(task_run && has(IORING_SETUP_SQPOLL)) && has(IORING_SETUP_R_DISABLED) == single;
}
static_assert(std::all_of(std::begin(kLadder), std::end(kLadder), is_valid));
static_assert(std::all_of(std::begin(kPolledLadder), std::end(kPolledLadder), is_valid));

long read_sysctl(const char* path) {
    long value = -1;
    if (std::FILE* file = std::fopen(path, "re")) {
        if (std::fscanf(file, "%ld", &value) != 1) value = -1;
        std::fclose(file);
    }
    return value;
}

std::string permission_cause() {
    const long disabled = read_sysctl("/proc/sys/kernel/io_uring_disabled");
    if (disabled == 2) {
        return "kernel.io_uring_disabled is 2, which disables it; sysctl -w "
               "kernel.io_uring_disabled=0 enables it";
    }
    if (disabled == 1) {
        return "kernel.io_uring_disabled is 1, which requires CAP_SYS_ADMIN or membership of "
               "kernel.io_uring_group; sysctl -w kernel.io_uring_disabled=0 enables it";
    }
    return "a seccomp profile forbids it, such as the default of Docker and containerd; run the "
           "container with a profile that allows io_uring_setup, io_uring_enter and "
           "io_uring_register";
}

std::string memory_cause() {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    const std::string now = limit.rlim_cur == RLIM_INFINITY
                                ? "unlimited"
                                : std::to_string(limit.rlim_cur / 1024) + " KiB";
    return "the rings do not fit the memory lock limit (RLIMIT_MEMLOCK is " + now +
           "); raise it (ulimit -l, LimitMEMLOCK= in a systemd unit) or ask for fewer entries";
}

std::string cause_of(int error) {
    switch (error) {
        case ENOSYS:
            return "the kernel has no io_uring, or a seccomp profile or sandbox hides it; Linux "
                   "5.19 or later is required";
        case EPERM: return permission_cause();
        case EACCES: return "a security module (SELinux, AppArmor) denies it to this program";
        case ENOMEM: return memory_cause();
        case EINVAL:
            return "the kernel is older than Linux 5.19, whose io_uring can lose byte counts";
        case EMFILE: return "this process has too many open descriptors; raise ulimit -n";
        case ENFILE: return "the system has too many open files; raise fs.file-max";
        default: return "the kernel refused it";
    }
}

[[noreturn]] void refuse(int error, const char* call = "io_uring_setup(2)") {
    DCHECK(error > 0);
    throw std::system_error(error, std::system_category(),
                            std::string("uaio: io_uring is unavailable, ") + call + " failed: " +
                                cause_of(error) + "; KernelKind::epoll works without it");
}

}  // namespace

LinuxKernel::LinuxKernel(const EngineOptions& options) {
    kind_ = KernelKind::io_uring;
    make_ring(options);
    wake_fd_ = eventfd(0, EFD_CLOEXEC);
    if (wake_fd_ < 0) {
        const int error = errno;
        io_uring_queue_exit(&uring_);
        refuse(error, "eventfd(2)");
    }
    // A child would share the rings and move their tails; this leaves it without a mapping.
    io_uring_ring_dontfork(&uring_);
    try_calls();
    features_.sq_polled = (uring_.flags & IORING_SETUP_SQPOLL) != 0;
    absolute_timer_ = (uring_.features & kFeatureMinimumTimeout) != 0;
    enter_fd_ = uring_.ring_fd;
    view_ring();
}

LinuxKernel::~LinuxKernel() {
    io_uring_queue_exit(&uring_);
    [[maybe_unused]] const int closed = ::close(wake_fd_);
    DCHECK(closed == 0);
}

// A seccomp profile may allow io_uring_setup(2) alone. An engine that failed in a later call could
// no longer fall back.
void LinuxKernel::try_calls() {
    const char* call = "io_uring_register(2)";
    int error = -probe_features(uring_.ring_fd, features_);
    if (error == 0) {
        call = "io_uring_enter(2)";
        const long result =
            ::syscall(__NR_io_uring_enter, uring_.ring_fd, 0, 0, 0, nullptr, std::size_t{0});
        if (result < 0 && errno != EBADFD) error = errno;  // EBADFD: not enabled before bind()
    }
    if (error == 0) return;
    io_uring_queue_exit(&uring_);
    ::close(wake_fd_);
    refuse(error, call);
}

void LinuxKernel::make_ring(const EngineOptions& options) {
    const bool polled = options.submission_poll_ms > 0;
    const std::span<const Rung> ladder =
        polled ? std::span<const Rung>(kPolledLadder) : std::span<const Rung>(kLadder);
    unsigned entries = std::bit_ceil(std::clamp(options.entries, 1u, kEntriesMax));
    int result = 0;
    for (const Rung& rung : ladder) {
        for (unsigned size = entries; size > 0; size /= 2) {
            io_uring_params params{};
            params.flags = rung.flags;
            params.sq_thread_idle = options.submission_poll_ms;
            params.cq_entries = std::bit_ceil(
                std::clamp(options.completions / (entries / size), 2 * size, 2 * kEntriesMax));
            reason_ = rung.name;  // before there is a ring, which an exception would leave open
            if (size < entries) {
                reason_ += "; " + std::to_string(size) + " of " + std::to_string(entries) +
                           " entries, since " + memory_cause();
            }
            result = io_uring_queue_init_params(size, &uring_, &params);
            if (result == 0) {
                DCHECK(params.sq_entries == size && params.cq_entries >= 2 * size);
                DCHECK((params.features & kFeatures) == kFeatures);
                disabled_ = (rung.flags & IORING_SETUP_R_DISABLED) != 0;
                return;
            }
            if (result != -ENOMEM || size <= kEntriesMin) break;
        }
        if (result != -EINVAL) break;
    }
    refuse(-result);
}

void LinuxKernel::view_ring() noexcept {
    // liburing writes this table at every submission; since position i always means entry i here,
    // once is enough.
    const unsigned sq_entries = *uring_.sq.kring_entries;
    for (unsigned i = 0; i < sq_entries; ++i)
        uring_.sq.array[i] = i;
    ring_.sqes = uring_.sq.sqes;
    ring_.sq_head = uring_.sq.khead;
    ring_.sq_tail = uring_.sq.ktail;
    ring_.sq_mask = *uring_.sq.kring_mask;
    ring_.cqes = uring_.cq.cqes;
    ring_.cq_head = uring_.cq.khead;
    ring_.cq_tail = uring_.cq.ktail;
    ring_.cq_mask = *uring_.cq.kring_mask;
    DCHECK(ring_.sq_mask + 1 == sq_entries);
    DCHECK(ring_.is_consistent());
}

unsigned LinuxKernel::sq_head() const noexcept {
    return std::atomic_ref(*ring_.sq_head).load(std::memory_order_acquire);
}

std::error_code LinuxKernel::bind() noexcept {
    DCHECK(thread_ == std::thread::id());
    if (disabled_) {
        const int result = io_uring_register(static_cast<unsigned>(uring_.ring_fd),
                                             IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
        if (result < 0) return error_from_result(result);
        disabled_ = false;
    }
    // Saves each enter a look-up of the descriptor (5.18); without it the descriptor itself works.
    if (io_uring_register_ring_fd(&uring_) == 1) {
        enter_fd_ = uring_.enter_ring_fd;
        enter_flags_ = IORING_ENTER_REGISTERED_RING;
        DCHECK(enter_fd_ >= 0 && enter_fd_ < kRegisteredRings);
    }
    thread_ = std::this_thread::get_id();
    return {};
}

int LinuxKernel::enter(unsigned wait, Clock::time_point deadline) noexcept {
    static_assert(std::is_same_v<Clock::duration, std::chrono::nanoseconds>);
    // On another thread the index of a registered ring names another ring.
    DCHECK(thread_ == std::this_thread::get_id());
    DCHECK(ring_.is_consistent());
    // GETEVENTS even without waiting: it runs deferred completion work.
    unsigned flags = enter_flags_ | IORING_ENTER_GETEVENTS;
    const unsigned head = sq_head();
    unsigned submit = *ring_.sq_tail - head;
    if (features_.sq_polled) {
        // The published tail must be visible before this reads the thread's flag, or both sides may
        // miss each other (io_uring_enter(2), IORING_ENTER_SQ_WAKEUP).
        std::atomic_ref(*ring_.sq_tail).fetch_add(0, std::memory_order_seq_cst);
        const unsigned sq_flags =
            std::atomic_ref(*uring_.sq.kflags).load(std::memory_order_seq_cst);
        if (sq_flags & IORING_SQ_NEED_WAKEUP) flags |= IORING_ENTER_SQ_WAKEUP;
        if (submit > ring_.sq_mask) flags |= IORING_ENTER_SQ_WAIT;
        submit = 0;
    }
    __kernel_timespec time{};
    io_uring_getevents_arg argument{};
    void* extra = nullptr;
    std::size_t extra_size = _NSIG / 8;
    if (wait > 0 && deadline != Clock::time_point::max()) {
        std::int64_t ns = deadline.time_since_epoch().count();
        DCHECK(ns >= 0);  // EINVAL, which would end the ring
        if (absolute_timer_) {
            flags |= kEnterAbsoluteTimer;
        } else {
            ns = std::max<std::int64_t>(ns - now().time_since_epoch().count(), 0);
        }
        time = {ns / 1'000'000'000, ns % 1'000'000'000};
        argument.ts = reinterpret_cast<std::uintptr_t>(&time);
        argument.sigmask_sz = _NSIG / 8;
        extra = &argument;
        extra_size = sizeof argument;
        flags |= IORING_ENTER_EXT_ARG;
    }
    const long result =
        ::syscall(__NR_io_uring_enter, enter_fd_, submit, wait, flags, extra, extra_size);
    DCHECK(result <= static_cast<long>(submit));
    DCHECK(features_.sq_polled || sq_head() - head == static_cast<unsigned>(std::max(result, 0L)));
    return result < 0 ? -errno : 0;
}

void LinuxKernel::wake() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
    DCHECK(written == sizeof one);
}

std::error_code LinuxKernel::notify(int event_fd) noexcept {
    return error_from_result(io_uring_register_eventfd(&uring_, event_fd));
}

// The table is empty at first (IORING_RSRC_REGISTER_SPARSE, 5.19).
bool LinuxKernel::register_memory(unsigned most, unsigned number, void* data,
                                  std::size_t size) noexcept {
    DCHECK(number < most &&
           (thread_ == std::thread::id() || thread_ == std::this_thread::get_id()));
    if (!registers_memory_) {
        if (io_uring_register_buffers_sparse(&uring_, most) < 0) return false;
        registers_memory_ = true;
    }
    const iovec memory{data, size};
    const __u64 tag = 0;
    return io_uring_register_buffers_update_tag(&uring_, number, &memory, &tag, 1) == 1;
}

bool LinuxKernel::register_buffer_ring(unsigned group, io_uring_buf_ring* ring,
                                       unsigned entries) noexcept {
    DCHECK(thread_ == std::this_thread::get_id());
    io_uring_buf_reg request{};
    request.ring_addr = reinterpret_cast<std::uintptr_t>(ring);
    request.ring_entries = entries;
    request.bgid = static_cast<__u16>(group);
    return io_uring_register_buf_ring(&uring_, &request, 0) == 0;
}

bool LinuxKernel::unregister_buffer_ring(unsigned group) noexcept {
    return io_uring_unregister_buf_ring(&uring_, static_cast<int>(group)) == 0;
}

void LinuxKernel::close_inherited() noexcept {
    ::close(uring_.ring_fd);
    ::close(wake_fd_);
}

bool LinuxKernel::pending() const noexcept {
    return (std::atomic_ref(*uring_.sq.kflags).load(std::memory_order_relaxed) &
            IORING_SQ_CQ_OVERFLOW) != 0;
}

}  // namespace uaio
