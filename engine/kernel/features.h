// The one place that knows the features of kernels newer than liburing 2.3's headers, and the one
// probe for them. The constants have names of their own, since later headers define some of the
// kernel's as macros and some as enumerators. Values: include/uapi/linux/io_uring.h.
#pragma once

#include "engine/kernel/kernel.h"

#include <cstdint>

namespace uaio {

inline constexpr unsigned kSendZcReportUsage = 1u << 3;       // sqe.ioprio of SEND_ZC, 6.2
inline constexpr unsigned kNotifUsageZcCopied = 1u << 31;     // cqe.res of its notification
inline constexpr int kOpReadMultishot = 49;                   // 6.7
inline constexpr int kOpReadvFixed = 60;                      // 6.15
inline constexpr unsigned kEnterAbsoluteTimer = 1u << 5;      // 6.12
inline constexpr unsigned kFeatureMinimumTimeout = 1u << 15;  // implies kEnterAbsoluteTimer

// Fills `features` with the operations that the ring supports (IORING_REGISTER_PROBE, 5.6). Any
// ring, enabled or not. Returns 0, or a negative errno.
int probe_features(int ring_fd, Features& features) noexcept;

}  // namespace uaio
