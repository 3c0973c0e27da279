#include "engine/kernel/sim/sim_operations.h"

#include "engine/kernel/sim/sim_failure.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace uaio {
namespace {

using Kind = SimOperation::Kind;
using State = SimOperation::State;

std::optional<Kind> kind_of(unsigned opcode) noexcept {
    switch (opcode) {
        case IORING_OP_NOP: return Kind::nop;
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG:
        case IORING_OP_SEND_ZC:
        case IORING_OP_SENDMSG_ZC: return Kind::send;
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG: return Kind::receive;
        case IORING_OP_ACCEPT: return Kind::accept;
        case IORING_OP_CONNECT: return Kind::connect;
        case IORING_OP_ASYNC_CANCEL: return Kind::cancel;
        case IORING_OP_SHUTDOWN: return Kind::shutdown;
        case IORING_OP_CLOSE: return Kind::close;
        case IORING_OP_POLL_ADD: return Kind::poll;
        case IORING_OP_READ: return Kind::read;
        default: return std::nullopt;
    }
}

Kind simulated_kind(const io_uring_sqe& sqe) {
    const std::optional<Kind> kind = kind_of(sqe.opcode);
    if (!kind) sim_failed("the opcode " + std::to_string(sqe.opcode) + " is not simulated");
    unsigned known = IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS;
    if (sqe.opcode == IORING_OP_RECV) known |= IOSQE_BUFFER_SELECT;
    if (sqe.flags & ~known) {
        sim_failed("the SQE flags " + std::to_string(sqe.flags) + " are not simulated");
    }
    const bool multishot = (*kind == Kind::accept && sqe.ioprio & IORING_ACCEPT_MULTISHOT) ||
                           (*kind == Kind::receive && sqe.ioprio & IORING_RECV_MULTISHOT) ||
                           (*kind == Kind::poll && sqe.len != 0);
    if (multishot) sim_failed("multishot operations are not simulated");
    return *kind;
}

}  // namespace

bool SimOperation::is_consistent() const noexcept {
    const bool waits = state == State::waiting;
    for (const SimDirection one : {SimDirection::in, SimDirection::out}) {
        if (!socket) break;
        const auto places = std::ranges::count(socket->waiting[static_cast<int>(one)], this);
        if (places != (waits && one == direction() ? 1 : 0)) return false;
    }
    if (waits && !socket) return false;
    if (state == State::reported && (socket || !notifies)) return false;
    return done <= total && lent <= done && (lent == 0 || zero_copy);
}

bool SimOperations::invariants_hold() const noexcept {
    return std::ranges::all_of(operations_,
                               [](const auto& entry) { return entry.second->is_consistent(); });
}

void SimOperation::give_back(std::size_t bytes) { operations.give_back(*this, bytes); }

SimOperation* SimOperations::find(std::uint64_t number) noexcept {
    const auto found = operations_.find(number);
    return found == operations_.end() ? nullptr : found->second.get();
}

// --- Beginning ---

void SimOperations::begin(const io_uring_sqe& sqe) {
    const std::uint64_t number = ++world_.counters.operations;
    auto owned = std::make_unique<SimOperation>(*this, number, sqe, simulated_kind(sqe));
    SimOperation& operation = *owned;
    operations_.emplace(number, std::move(owned));
    if (const int refused = prepare(operation)) return finish(operation, refused);
    draw_latency(operation);
    DCHECK(operation.is_consistent());
}

void SimOperations::draw_latency(SimOperation& operation) {
    if (world_.faults.latency_max.count() <= 0) return attempt(operation);
    const auto latency =
        world_.random.between(world_.faults.latency_min, world_.faults.latency_max);
    if (world_.random.chance(500)) {
        operation.report_delay = latency;
        return attempt(operation);
    }
    const std::uint64_t number = operation.number;
    world_.events.plan_after(latency, SimEvents::Kind::attempt, [this, number] {
        SimOperation* const found = find(number);
        if (found && found->state == State::begun) attempt(*found);
    });
}

// The checks and copies of a kernel that takes the SQE.
int SimOperations::prepare(SimOperation& operation) {
    const SimRequest& sqe = operation.sqe;
    operation.zero_copy = sqe.opcode == IORING_OP_SEND_ZC || sqe.opcode == IORING_OP_SENDMSG_ZC;
    if (operation.zero_copy) {
        const bool is_list = sqe.opcode == IORING_OP_SENDMSG_ZC;
        if (world_.faults.no_zero_copy || (is_list && world_.faults.no_waitall)) return -EINVAL;
        if (sqe.flags & IOSQE_CQE_SKIP_SUCCESS) return -EINVAL;
        operation.notifies = true;
    }
    switch (operation.kind) {
        case Kind::nop:
        case Kind::cancel:
        case Kind::close: return 0;
        case Kind::read:
            operation.entries.push_back({reinterpret_cast<void*>(sqe.addr), sqe.len});
            return 0;
        case Kind::send:
        case Kind::receive:
            if (const int refused = prepare_transfer(operation)) return refused;
            break;
        case Kind::connect:
            operation.address = SimAddress(reinterpret_cast<const sockaddr*>(sqe.addr),
                                           static_cast<socklen_t>(sqe.off));
            break;
        case Kind::accept:
        case Kind::poll:
        case Kind::shutdown: break;
    }
    operation.socket = descriptors_.find(sqe.fd);
    if (!operation.socket) return -EBADF;
    network_.hold(*operation.socket);
    return 0;
}

// --- Trying and waiting ---

void SimOperations::attempt(SimOperation& operation) {
    DCHECK(operation.stoppable() && operation.is_consistent());
    if (operation.kind == Kind::cancel) return cancel(operation);
    const Result result = try_once(operation);
    operation.tried = true;
    if (result) return finish(operation, *result);
    wait(operation);
}

SimOperations::Result SimOperations::try_once(SimOperation& operation) {
    switch (operation.kind) {
        case Kind::nop: return 0;
        case Kind::send: return try_send(operation);
        case Kind::receive: return try_receive(operation);
        case Kind::accept: return try_accept(operation);
        case Kind::connect: return try_connect(operation);
        case Kind::close: return try_close(operation);
        case Kind::poll: return try_poll(operation);
        case Kind::read: return try_read(operation);
        case Kind::shutdown:
            if (const int error = world_.scripted_error(SimCall::shutdown)) return error;
            return network_.shutdown(*operation.socket, static_cast<int>(operation.sqe.len));
        case Kind::cancel: break;
    }
    return -EINVAL;
}

void SimOperations::wait(SimOperation& operation) {
    DCHECK(operation.socket && operation.stoppable());
    // A receive of no bytes waits for some all the same.
    DCHECK(operation.kind != Kind::send || operation.left() > 0);
    SimSocket& socket = *operation.socket;
    if (operation.state == State::begun) {
        operation.state = State::waiting;
        socket.waiting[static_cast<int>(operation.direction())].push_back(&operation);
    }
    DCHECK(operation.is_consistent());
    // A transfer that was cut short goes on by itself, in a step of its own.
    const bool sends = operation.kind == Kind::send;
    const bool receives = operation.kind == Kind::receive;
    const bool goes_on =
        (sends && network_.room(socket) > 0) || (receives && socket.in.arrived() > 0);
    if (goes_on) network_.ready(socket, operation.direction());
}

void SimOperations::stop_waiting(SimOperation& operation) {
    if (operation.state != State::waiting) return;
    auto& waiting = operation.socket->waiting[static_cast<int>(operation.direction())];
    std::erase(waiting, &operation);
}

// Attempts each waiting operation; one that moved bytes goes behind the others, so two sends with
// MSG_WAITALL on one socket mix their bytes, as on a real kernel.
void SimOperations::ready(SimSocket& socket, SimDirection direction) {
    auto& waiting = socket.waiting[static_cast<int>(direction)];
    std::vector<std::uint64_t> turns;
    for (const SimOperation* operation : waiting) {
        DCHECK(operation->socket == &socket && operation->direction() == direction);
        turns.push_back(operation->number);
    }
    network_.hold(socket);
    for (const std::uint64_t number : turns) {
        SimOperation* const operation = find(number);
        if (!operation || operation->state != State::waiting) continue;
        const std::size_t before = operation->done;
        attempt(*operation);
        if (operation->state != State::waiting || operation->done == before) continue;
        std::erase(waiting, operation);
        waiting.push_back(operation);
    }
    network_.release(socket);
}

SimOperations::Result SimOperations::try_accept(SimOperation& operation) {
    SimSocket& listener = *operation.socket;
    if (listener.state != SimSocket::State::listening) return -EINVAL;
    SimCounters& counters = world_.counters;
    const Faults& faults = world_.faults;
    if (!operation.tried) {
        if (const int error = world_.scripted_error(SimCall::accept)) return error;
    }
    if (listener.backlog.empty()) return std::nullopt;
    if (world_.strikes(faults.interrupted_operation, counters.interrupted_operations)) {
        return -EINTR;
    }
    if (descriptors_.full()) return -EMFILE;
    if (world_.strikes(faults.accept_exhausted, counters.accepts_exhausted)) return -EMFILE;
    SimSocket* const accepted = network_.accept(listener);
    DCHECK(accepted != nullptr);
    if (world_.strikes(faults.accept_aborted, counters.accepts_aborted)) {
        network_.reset(*accepted);
        network_.release(*accepted);
        return -ECONNABORTED;
    }
    operation.address = accepted->remote;
    return descriptors_.add(*accepted);
}

SimOperations::Result SimOperations::try_connect(SimOperation& operation) {
    SimSocket& socket = *operation.socket;
    using SocketState = SimSocket::State;
    if (!operation.tried) {
        if (socket.state == SocketState::connecting) return -EALREADY;
        if (socket.state != SocketState::fresh) return -EISCONN;
        if (const int error = world_.scripted_error(SimCall::connect)) return error;
        if (world_.strikes(world_.faults.connect_failed, world_.counters.connects_failed)) {
            constexpr int kErrors[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH};
            return -kErrors[world_.random.between(0, std::size(kErrors) - 1)];
        }
        if (const int error = network_.connect(socket, operation.address)) return error;
    }
    if (socket.state == SocketState::connecting) return std::nullopt;
    if (socket.state != SocketState::fresh) return 0;
    return -(socket.error != 0 ? std::exchange(socket.error, 0) : ECONNABORTED);
}

// Those of the requested events that hold now.
SimOperations::Result SimOperations::try_poll(const SimOperation& operation) const noexcept {
    const SimSocket& socket = *operation.socket;
    unsigned ready = 0;
    if (network_.is_readable(socket)) ready |= POLLIN;
    if (network_.is_writable(socket)) ready |= POLLOUT;
    ready &= operation.sqe.call_flags;
    return ready == 0 ? Result() : static_cast<int>(ready);
}

// Reads a real file; the simulation adds the results that a read can have.
int SimOperations::try_read(SimOperation& operation) {
    if (const int error = world_.scripted_error(SimCall::read)) return error;
    SimCounters& counters = world_.counters;
    if (world_.strikes(world_.faults.interrupted_operation, counters.interrupted_operations)) {
        return -EINTR;
    }
    const SimRequest& sqe = operation.sqe;
    std::size_t size = sqe.len;
    if (size > 1 && world_.strikes(world_.faults.short_read, counters.short_reads)) {
        size = world_.random.between(1, size - 1);
    }
    operation.arrived.resize(size);
    const ssize_t count =
        ::pread(sqe.fd, operation.arrived.data(), size, static_cast<off_t>(sqe.off));
    operation.arrived.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return count < 0 ? -errno : static_cast<int>(count);
}

int SimOperations::try_close(SimOperation& operation) {
    if (const int error = world_.scripted_error(SimCall::close)) return error;
    SimSocket* const socket = descriptors_.remove(operation.sqe.fd);
    if (!socket) return -EBADF;
    network_.release(*socket);
    return 0;
}

}  // namespace uaio
