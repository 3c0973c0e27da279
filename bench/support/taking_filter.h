// A BPF classifier at the exit of a network device that takes all tcp packets with data, so that
// the kernel frees them without a copy, and says where the last one ended. SYN, FIN, RST and bare
// acknowledgements pass. One connection at a time; IPv4 without options, on a device without a
// link-layer header. Any thread; failures throw Unavailable.
#pragma once

#include "bench/support/loopback.h"

#include <atomic>
#include <cstdint>

namespace uaio::bench {

class TakingFilter {
public:
    // Attaches it to the device with that index in the calling thread's network namespace (clsact,
    // tc-bpf(8)). Needs CAP_BPF and CAP_NET_ADMIN.
    explicit TakingFilter(int device);
    ~TakingFilter();
    TakingFilter(const TakingFilter&) = delete;
    TakingFilter& operator=(const TakingFilter&) = delete;

    // The sequence number behind the last byte taken, in host order; 0 before the first.
    std::uint32_t end() const noexcept {
        return std::atomic_ref(*end_).load(std::memory_order_acquire);
    }

private:
    Descriptor map_;
    Descriptor program_;
    std::uint32_t* end_ = nullptr;  // the map's memory, a page
};

}  // namespace uaio::bench
