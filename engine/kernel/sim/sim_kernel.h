// The Kernel behind SimKernel: its ring, network and time are memory. It is the only kernel that is
// deterministic and follows a test's script. For one thread, except now() and wake().
#pragma once

#include <uaio/sim.h>

#include "engine/kernel/kernel.h"
#include "engine/kernel/memory_ring.h"
#include "engine/kernel/sim/sim_descriptors.h"
#include "engine/kernel/sim/sim_network.h"
#include "engine/kernel/sim/sim_operations.h"
#include "engine/kernel/sim/sim_peer.h"
#include "engine/kernel/sim/sim_world.h"

#include <atomic>
#include <cerrno>
#include <functional>
#include <string>

namespace uaio {

// The Kernel of an engine on `kernel`; lives as long as `kernel`.
Kernel& kernel_of(SimKernel& kernel) noexcept;

class SimMachine final : public Kernel {
public:
    SimMachine(std::uint64_t seed, const Faults& faults);

    std::error_code bind() noexcept override { return {}; }
    int enter(unsigned wait, Clock::time_point deadline) noexcept override;
    Clock::time_point now() noexcept override { return world_.events.now(); }
    void wake() noexcept override { woken_.store(true, std::memory_order_release); }
    int wake_fd() const noexcept override { return -1; }
    std::error_code notify(int event_fd) noexcept override;
    bool pending() const noexcept override;

    bool register_buffer_ring(unsigned group, io_uring_buf_ring* ring,
                              unsigned entries) noexcept override;
    bool unregister_buffer_ring(unsigned group) noexcept override;

    int socket(int domain, int type, int protocol) noexcept override;
    int duplicate(int) noexcept override { return -EOPNOTSUPP; }
    int bind_socket(int fd, const sockaddr* address, socklen_t size) noexcept override;
    int listen(int fd, int backlog) noexcept override;
    int set_option(int fd, int level, int name, const void* value,
                   socklen_t size) noexcept override;
    int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept override;
    int local_address(int fd, sockaddr* address, socklen_t* size) noexcept override;
    int peer_address(int fd, sockaddr* address, socklen_t* size) noexcept override;
    int shutdown(int fd, int how) noexcept override;
    std::int64_t send_at_once(int fd, const void* data, std::size_t size) noexcept override;
    std::int64_t receive_at_once(int fd, void* data, std::size_t size) noexcept override;
    // No socket here encrypts.
    std::int64_t send_record_at_once(int, std::uint8_t, const void*,
                                     std::size_t) noexcept override {
        return -EOPNOTSUPP;
    }
    int peek(int fd) noexcept override;
    std::int64_t discard_received(int fd, std::size_t limit) noexcept override;
    int close(int fd) noexcept override;
    // Paths of the simulated network are not files.
    int identify_file(const char*, FileIdentity&) noexcept override { return 0; }
    void remove_file(const char*, const FileIdentity&) noexcept override {}
    void remove_stale_socket(const char*, const sockaddr*, socklen_t) noexcept override {}

    // Runs all events due until `time`, without an engine.
    void advance_to(Clock::time_point time);

    std::string describe() const;

    SimWorld& world() noexcept { return world_; }
    SimPeers& peers() noexcept { return peers_; }
    SimDescriptors& descriptors() noexcept { return descriptors_; }
    const SimOperations& operations() const noexcept { return operations_; }
    bool has_listener(const SimAddress& target) noexcept { return network_.has_listener(target); }

private:
    using Action = SimEvents::Action;

    std::int64_t disturb(SimSocket& socket, SimCall call, std::size_t size);
    int refuse(unsigned wait);
    int turn(unsigned wait, Clock::time_point deadline, Action& action);
    int collect(unsigned wait, Clock::time_point deadline, Action& action);
    bool pauses(Action& action);
    bool happens(Action& action);
    bool enough(unsigned wait) const noexcept;
    [[noreturn]] void deadlock() noexcept;

    SimWorld world_;
    SimNetwork network_;
    SimDescriptors descriptors_;
    MemoryRing memory_;
    SimOperations operations_;
    SimPeers peers_;
    std::atomic<bool> woken_{false};
    unsigned refusals_ = 0;  // in a row
};

}  // namespace uaio
