// The end of operations in the simulated kernel: cancels, results, notifications.
#include "engine/kernel/features.h"
#include "engine/kernel/sim/sim_operations.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace uaio {
namespace {

using State = SimOperation::State;

// The delay of a late completion or stop.
constexpr std::chrono::nanoseconds kLateMin(1'000);
constexpr std::chrono::nanoseconds kLateMax(100'000);

const char* name_of(SimOperation::Kind kind) noexcept {
    constexpr const char* kNames[] = {"nop",    "send",     "receive", "accept", "connect",
                                      "cancel", "shutdown", "close",   "poll",   "read"};
    static_assert(std::size(kNames) == static_cast<int>(SimOperation::Kind::read) + 1);
    return kNames[static_cast<int>(kind)];
}

const char* name_of(State state) noexcept {
    constexpr const char* kNames[] = {"begun", "waiting", "decided", "waiting to notify"};
    static_assert(std::size(kNames) == static_cast<int>(State::reported) + 1);
    return kNames[static_cast<int>(state)];
}

}  // namespace

std::string SimOperation::text() const {
    std::string text = "operation " + std::to_string(number) + ": " + name_of(kind);
    if (kind != Kind::nop && kind != Kind::cancel) text += " on " + std::to_string(sqe.fd);
    if (transfers()) {
        text += ", " + std::to_string(done) + " of " + std::to_string(total) + " bytes";
    }
    if (lent > 0) text += ", " + std::to_string(lent) + " of them lent";
    return text + ", " + name_of(state);
}

std::string SimOperations::describe() const {
    std::string text;
    for (const auto& [number, operation] : operations_)
        text += operation->text() + "\n";
    return text;
}

// --- Cancelling ---

std::vector<std::uint64_t> SimOperations::targets_of(const SimOperation& operation) const {
    const unsigned flags = operation.sqe.call_flags;
    const bool all = flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    const SimSocket* const socket = descriptors_.find(operation.sqe.fd);
    const auto meant = [&](const SimOperation& other) {
        if (flags & IORING_ASYNC_CANCEL_ANY) return true;
        if (flags & IORING_ASYNC_CANCEL_FD) return socket && other.socket == socket;
        return other.sqe.user_data == operation.sqe.addr;
    };
    std::vector<std::uint64_t> targets;
    for (const auto& [number, other] : operations_) {
        if (!other->stoppable() || other.get() == &operation || !meant(*other)) continue;
        targets.push_back(number);
        if (!all) break;
    }
    return targets;
}

// An operation that the kernel is about to try again is in no list that a cancel searches. It may
// then wait once more: a send with MSG_WAITALL does so (seen on Linux 6.18), a receive with it, and
// an accept whose connection another process took.
bool SimOperations::loses_cancel(const SimOperation& target) {
    const bool tried_again = target.kind == SimOperation::Kind::accept ||
                             (target.transfers() && target.message_flags & MSG_WAITALL);
    return target.state == State::waiting && tried_again &&
           world_.strikes(world_.faults.lost_cancel, world_.counters.lost_cancels);
}

// Reports the cancel before its target, as the kernel mostly does.
void SimOperations::cancel(SimOperation& operation) {
    const unsigned flags = operation.sqe.call_flags;
    if (flags & IORING_ASYNC_CANCEL_FD_FIXED) return finish(operation, -EINVAL);
    std::vector<std::uint64_t> targets = targets_of(operation);
    std::erase_if(targets, [this](std::uint64_t number) { return loses_cancel(*find(number)); });
    if (flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)) {
        finish(operation, static_cast<int>(targets.size()));
        for (const std::uint64_t number : targets)
            stop(*find(number));
        return;
    }
    if (targets.empty()) {
        ++world_.counters.missed_cancels;
        return finish(operation, -ENOENT);
    }
    SimOperation& target = *find(targets.front());
    if (stops_late(target)) return finish(operation, -EALREADY);
    finish(operation, 0);
    stop(target);
}

// An operation on another thread (io-wq) goes on for a while, and then stops if it is not done.
bool SimOperations::stops_late(SimOperation& target) {
    if (!world_.strikes(world_.faults.late_cancel, world_.counters.late_cancels)) return false;
    const std::uint64_t number = target.number;
    const auto delay = world_.random.between(kLateMin, kLateMax);
    world_.events.plan_after(delay, SimEvents::Kind::attempt, [this, number] {
        SimOperation* const found = find(number);
        if (found && found->stoppable()) stop(*found);
    });
    return true;
}

void SimOperations::stop(SimOperation& target) {
    if (target.kind == SimOperation::Kind::connect && target.state == State::waiting) {
        network_.abandon(*target.socket);
    }
    // Kernels before 6.1 lose the count of a cancelled MSG_WAITALL.
    const bool forgets = world_.faults.no_waitall;
    finish(target, forgets ? -ECANCELED : target.partial_or(-ECANCELED));
}

// --- Reporting ---

void SimOperations::finish(SimOperation& operation, int result) {
    DCHECK(operation.stoppable() && operation.is_consistent());
    DCHECK(!operation.transfers() || result <= 0 ||
           static_cast<std::size_t>(result) == operation.done);
    stop_waiting(operation);
    operation.state = State::decided;
    operation.result = result;
    DCHECK(operation.is_consistent());
    std::chrono::nanoseconds delay = operation.report_delay;
    SimCounters& counters = world_.counters;
    if (operation.transfers() &&
        world_.strikes(world_.faults.late_cancel, counters.held_completions)) {
        delay += world_.random.between(kLateMin, kLateMax);
    }
    const bool reorders = world_.strikes(world_.faults.reorder, counters.reorders);
    const std::uint64_t rank = reorders ? world_.random.next() | 1 : 0;
    const std::uint64_t number = operation.number;
    world_.events.plan_after(
        delay, SimEvents::Kind::completion, [this, number] { report(*find(number)); }, rank);
}

void SimOperations::report(SimOperation& operation) {
    DCHECK(operation.state == State::decided && operation.is_consistent());
    write_back(operation);
    unsigned flags = operation.notifies ? IORING_CQE_F_MORE : 0;
    SimSocket* const socket = std::exchange(operation.socket, nullptr);
    if (operation.kind == SimOperation::Kind::receive && socket) {
        const bool more = socket->in.arrived() > 0 || (socket->ended && !socket->is_local());
        if (more && operation.result >= 0) flags |= IORING_CQE_F_SOCK_NONEMPTY;
    }
    if (operation.buffer >= 0) {
        flags |= IORING_CQE_F_BUFFER | static_cast<unsigned>(operation.buffer)
                                           << IORING_CQE_BUFFER_SHIFT;
    }
    const bool silent = operation.sqe.flags & IOSQE_CQE_SKIP_SUCCESS && operation.result >= 0;
    if (!silent) post(operation, operation.result, flags);
    if (operation.notifies) {
        operation.state = State::reported;
        DCHECK(operation.is_consistent());
        if (operation.lent == 0) plan_notification(operation);
    } else {
        operations_.erase(operation.number);
    }
    if (socket) network_.release(*socket);
}

// Writes to the caller's memory, which must be valid until now.
void SimOperations::write_back(SimOperation& operation) {
    const SimRequest& sqe = operation.sqe;
    DCHECK(operation.kind != SimOperation::Kind::receive ||
           operation.arrived.size() == operation.done);
    const char* from = operation.arrived.data();
    std::size_t left = operation.arrived.size();
    for (const iovec& entry : operation.entries) {
        const std::size_t part = std::min(left, entry.iov_len);
        if (part == 0) continue;
        std::memcpy(entry.iov_base, from, part);
        from += part;
        left -= part;
    }
    DCHECK(left == 0);
    if (operation.header && operation.result >= 0) {
        operation.header->msg_namelen = 0;
        operation.header->msg_controllen = 0;
        operation.header->msg_flags = 0;
    }
    if (operation.kind == SimOperation::Kind::accept && operation.result >= 0) {
        operation.address.copy_to(reinterpret_cast<sockaddr*>(sqe.addr),
                                  reinterpret_cast<socklen_t*>(sqe.off));
    }
}

void SimOperations::plan_notification(SimOperation& operation) {
    DCHECK(operation.state == State::reported && operation.lent == 0);
    std::chrono::nanoseconds delay{0};
    if (world_.faults.latency_max.count() > 0) {
        delay = world_.random.between(world_.faults.latency_min, world_.faults.latency_max);
    }
    const std::uint64_t number = operation.number;
    world_.events.plan_after(delay, SimEvents::Kind::completion, [this, number] {
        SimOperation& found = *find(number);
        const bool reports = found.sqe.ioprio & kSendZcReportUsage && found.copies;
        post(found, reports ? static_cast<int>(kNotifUsageZcCopied) : 0, IORING_CQE_F_NOTIF);
        operations_.erase(number);
    });
}

void SimOperations::post(SimOperation& operation, int result, unsigned flags) {
    DCHECK(!operation.stoppable());
    ++world_.counters.completions;
    world_.events.mix(operation.number);
    world_.events.mix(static_cast<std::uint64_t>(static_cast<std::uint32_t>(result)));
    world_.events.mix(flags);
    if (!ring_.post(operation.sqe.user_data, result, flags)) ++world_.counters.overflows;
}

}  // namespace uaio
