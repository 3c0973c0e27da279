#include "engine/kernel/features.h"

#include "base/check.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <limits>

#include <liburing.h>

namespace uaio {
namespace {

// The bits and numbers that liburing 2.3 leaves free.
static_assert((kSendZcReportUsage & (IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT |
                                     IORING_RECVSEND_FIXED_BUF)) == 0);
static_assert((kEnterAbsoluteTimer &
               (IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT |
                IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING)) == 0);
static_assert(kOpReadMultishot == IORING_OP_SENDMSG_ZC + 1);

// As io_uring decides when a ring is made: CAP_IPC_LOCK lifts the limit.
std::uint64_t lockable_bytes() noexcept {
    constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    static_assert(CAP_TO_INDEX(CAP_IPC_LOCK) == 0);
    const bool known = ::syscall(SYS_capget, &header, data) == 0;
    if (known && (data[0].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0) return kNoLimit;
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
    return limit.rlim_cur;
}

}  // namespace

int probe_features(int ring_fd, Features& features) noexcept {
    constexpr unsigned kOperations = 256;
    static_assert(std::numeric_limits<decltype(io_uring_probe::last_op)>::max() < kOperations);
    // The probe structure ends in an array of the caller's length (io_uring_register(2)).
    alignas(io_uring_probe)
        std::byte memory[sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)] = {};
    auto& probe = *reinterpret_cast<io_uring_probe*>(memory);
    const int result = io_uring_register(static_cast<unsigned>(ring_fd), IORING_REGISTER_PROBE,
                                         &probe, kOperations);
    if (result < 0) return result;
    const auto supported = [&probe](int operation) {
        return operation <= probe.last_op &&
               (probe.ops[operation].flags & IO_URING_OP_SUPPORTED) != 0;
    };
    features.send_zero_copy = supported(IORING_OP_SEND_ZC);
    features.sendmsg_zero_copy = supported(IORING_OP_SENDMSG_ZC);
    // Linux 6.2 added usage reports without an operation; the next new operation is of 6.7.
    features.report_zero_copy_usage = supported(kOpReadMultishot);
    // Linux 6.15 added lists of registered memory, to these new operations and to SENDMSG_ZC.
    features.registered_lists = supported(kOpReadvFixed);
    features.send_waitall = features.sendmsg_zero_copy;
    features.lockable_bytes = lockable_bytes();
    DCHECK(features.send_zero_copy || !features.sendmsg_zero_copy);
    DCHECK(features.sendmsg_zero_copy || !features.report_zero_copy_usage);
    return 0;
}

}  // namespace uaio
