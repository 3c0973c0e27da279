// The operations in a simulated kernel: their start, attempts, waits, cancels and reports. Results
// are those of io_uring on Linux 6.18. For the kernel's thread.
#pragma once

#include "engine/kernel/memory_ring.h"
#include "engine/kernel/sim/sim_descriptors.h"
#include "engine/kernel/sim/sim_network.h"
#include "engine/kernel/sim/sim_operation.h"
#include "engine/kernel/sim/sim_world.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace uaio {

class SimOperations final : public SimWatcher {
public:
    SimOperations(SimWorld& world, SimNetwork& network, SimDescriptors& descriptors,
                  MemoryRing& ring) noexcept
        : world_(world), network_(network), descriptors_(descriptors), ring_(ring) {}

    // Starts the operation of an SQE. An operation that this kernel does not simulate ends the
    // program with a message.
    void begin(const io_uring_sqe& sqe);

    // The ring of group 0, from which receives take buffers; none without entries.
    void set_buffer_ring(const io_uring_buf_ring* ring, unsigned entries) noexcept {
        buffer_ring_ = {.ring = ring, .entries = entries, .head = 0};
    }

    std::size_t pending() const noexcept { return operations_.size(); }
    bool invariants_hold() const noexcept;
    std::string describe() const;

    bool wants(const SimSocket& socket, SimDirection direction) const noexcept override {
        return !socket.waiting[static_cast<int>(direction)].empty();
    }
    void ready(SimSocket& socket, SimDirection direction) override;

    // The bytes of a zero-copy send were read or dropped.
    void give_back(SimOperation& operation, std::size_t bytes);

private:
    // A result; nothing while the operation has to wait.
    using Result = std::optional<int>;

    struct BufferRing {
        const io_uring_buf_ring* ring = nullptr;
        unsigned entries = 0;
        std::uint16_t head = 0;  // the kernel's index
    };

    SimOperation* find(std::uint64_t number) noexcept;
    int prepare(SimOperation& operation);
    int prepare_transfer(SimOperation& operation);
    void draw_latency(SimOperation& operation);

    void attempt(SimOperation& operation);
    Result try_once(SimOperation& operation);
    Result try_accept(SimOperation& operation);
    Result try_connect(SimOperation& operation);
    int try_close(SimOperation& operation);
    Result try_poll(const SimOperation& operation) const noexcept;
    int try_read(SimOperation& operation);
    void wait(SimOperation& operation);
    void stop_waiting(SimOperation& operation);

    // Transfers (sim_transfer.cc).
    Result try_send(SimOperation& operation);
    Result try_receive(SimOperation& operation);
    int take_buffer(SimOperation& operation);
    Result would_block(const SimOperation& operation) const noexcept;
    Result disturbed(SimOperation& operation);
    int refuse_zero_copy(SimOperation& operation);
    bool cut_short(std::size_t& length, SimLengths& script, unsigned rate, std::uint64_t& counter);
    void move_out(SimOperation& operation, const std::vector<iovec>& parts);

    void cancel(SimOperation& operation);
    std::vector<std::uint64_t> targets_of(const SimOperation& operation) const;
    bool loses_cancel(const SimOperation& target);
    bool stops_late(SimOperation& target);
    void stop(SimOperation& target);

    void finish(SimOperation& operation, int result);
    void report(SimOperation& operation);
    void write_back(SimOperation& operation);
    void plan_notification(SimOperation& operation);
    void post(SimOperation& operation, int result, unsigned flags);

    SimWorld& world_;
    SimNetwork& network_;
    SimDescriptors& descriptors_;
    MemoryRing& ring_;
    BufferRing buffer_ring_;
    std::map<std::uint64_t, std::unique_ptr<SimOperation>> operations_;  // by age
};

}  // namespace uaio
