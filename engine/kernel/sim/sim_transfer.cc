// Sends and receives of the simulated kernel: the bytes of one attempt, and the end of an
// operation.
#include "engine/kernel/sim/sim_operations.h"

#include <algorithm>
#include <cerrno>
#include <climits>

namespace uaio {
namespace {

// The most bytes of one call (MAX_RW_COUNT in the kernel).
constexpr std::size_t kMaxTransfer = 0x7ffff000;
static_assert(kMaxTransfer <= INT_MAX);  // results are of type int

// The part of the entries that follows the first `skip` bytes, `length` bytes long.
std::vector<iovec> slice(const std::vector<iovec>& entries, std::size_t skip, std::size_t length) {
    std::vector<iovec> parts;
    for (const iovec& entry : entries) {
        const std::size_t skipped = std::min(skip, entry.iov_len);
        skip -= skipped;
        const std::size_t size = std::min(length, entry.iov_len - skipped);
        length -= size;
        if (size == 0) continue;
        char* const base = static_cast<char*>(entry.iov_base);
        parts.push_back({base ? base + skipped : nullptr, size});
    }
    DCHECK(skip == 0 && length == 0);
    return parts;
}

bool readable(const std::vector<iovec>& parts) noexcept {
    return std::ranges::all_of(parts, [](const iovec& part) { return part.iov_base != nullptr; });
}

}  // namespace

int SimOperations::prepare_transfer(SimOperation& operation) {
    const SimRequest& sqe = operation.sqe;
    operation.message_flags = sqe.call_flags;
    const bool sends = operation.kind == SimOperation::Kind::send;
    if (sends && !(sqe.call_flags & MSG_NOSIGNAL)) ++world_.counters.without_nosignal;
    const bool with_header = sqe.opcode == IORING_OP_SENDMSG || sqe.opcode == IORING_OP_RECVMSG ||
                             sqe.opcode == IORING_OP_SENDMSG_ZC;
    if (with_header) {
        msghdr* const header = reinterpret_cast<msghdr*>(sqe.addr);
        if (!header) return -EFAULT;
        if (header->msg_iovlen > IOV_MAX) return -EMSGSIZE;
        operation.entries.assign(header->msg_iov, header->msg_iov + header->msg_iovlen);
        if (!sends) operation.header = header;
    } else if (operation.selects_buffer()) {
        return 0;
    } else {
        operation.entries.push_back({reinterpret_cast<void*>(sqe.addr), sqe.len});
    }
    for (const iovec& entry : operation.entries) {
        const std::size_t room = kMaxTransfer - operation.total;
        operation.total += std::min(entry.iov_len, room);
    }
    return 0;
}

SimOperations::Result SimOperations::would_block(const SimOperation& operation) const noexcept {
    if (operation.message_flags & MSG_DONTWAIT) return operation.partial_or(-EAGAIN);
    return std::nullopt;
}

// Faults of any attempt to transfer: a result, or none if it may go on.
SimOperations::Result SimOperations::disturbed(SimOperation& operation) {
    const Faults& faults = world_.faults;
    SimCounters& counters = world_.counters;
    if (world_.strikes(faults.interrupted_operation, counters.interrupted_operations)) {
        return operation.partial_or(-EINTR);
    }
    const SimSocket& socket = *operation.socket;
    const bool breaks = socket.other && socket.state == SimSocket::State::connected;
    if (breaks && world_.strikes(faults.reset, counters.resets)) {
        network_.break_connection(*operation.socket);
    }
    return std::nullopt;
}

// Shortens the length by a script or by chance; true if the operation ends with it.
bool SimOperations::cut_short(std::size_t& length, SimLengths& script, unsigned rate,
                              std::uint64_t& counter) {
    DCHECK(length > 0);
    if (const std::optional<std::size_t> scripted = script.next()) {
        ++world_.counters.scripted;
        length = std::min(length, *scripted);
        DCHECK(length > 0);
        return true;
    }
    if (length < 2 || !world_.strikes(rate, counter)) return false;
    length = world_.random.between(1, length - 1);
    return world_.random.chance(500);
}

// --- Sending ---

int SimOperations::refuse_zero_copy(SimOperation& operation) {
    DCHECK(operation.notifies && !operation.copies && operation.lent == 0);
    const Faults& faults = world_.faults;
    SimCounters& counters = world_.counters;
    int error = 0;
    if (operation.socket->is_local() ||
        world_.strikes(faults.zero_copy_refused, counters.zero_copy_refused)) {
        error = -EOPNOTSUPP;
    } else if (world_.strikes(faults.zero_copy_no_memory, counters.zero_copy_no_memory)) {
        error = -ENOMEM;
    }
    if (error == 0) {
        operation.copies = world_.strikes(faults.zero_copy_copied, counters.zero_copy_copied);
    } else if (world_.strikes(faults.zero_copy_single, counters.zero_copy_single)) {
        operation.notifies = false;
    }
    return error;
}

SimOperations::Result SimOperations::try_send(SimOperation& operation) {
    if (!operation.tried) {
        if (const int error = world_.scripted_error(SimCall::send)) return error;
        if (operation.zero_copy) {
            if (const int error = refuse_zero_copy(operation)) return error;
        }
    }
    if (const Result result = disturbed(operation)) return result;
    SimSocket& socket = *operation.socket;
    if (const int error = network_.may_send(socket)) return operation.partial_or(error);
    if (operation.left() == 0) return 0;
    std::size_t length = std::min(network_.room(socket), operation.left());
    if (length == 0) return would_block(operation);
    const bool ends = cut_short(length, world_.send_lengths, world_.faults.short_write,
                                world_.counters.short_writes);
    const std::vector<iovec> parts = slice(operation.entries, operation.done, length);
    if (!readable(parts)) return operation.partial_or(-EFAULT);
    operation.done += length;
    move_out(operation, parts);
    if (ends || operation.left() == 0 || !(operation.message_flags & MSG_WAITALL)) {
        return static_cast<int>(operation.done);
    }
    return would_block(operation);
}

void SimOperations::move_out(SimOperation& operation, const std::vector<iovec>& parts) {
    if (operation.zero_copy && !operation.copies) {
        for (const iovec& part : parts)
            operation.lent += part.iov_len;
        return network_.send_lent(*operation.socket, parts, operation);
    }
    std::string bytes;
    for (const iovec& part : parts) {
        bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    network_.send(*operation.socket, std::move(bytes));
}

void SimOperations::give_back(SimOperation& operation, std::size_t bytes) {
    DCHECK(bytes > 0 && bytes <= operation.lent);
    operation.lent -= bytes;
    if (operation.lent == 0 && operation.state == SimOperation::State::reported) {
        plan_notification(operation);
    }
}

// --- Receiving ---

int SimOperations::take_buffer(SimOperation& operation) {
    DCHECK(operation.buffer < 0 && operation.total == 0);
    const bool lacks = world_.strikes(world_.faults.no_buffer, world_.counters.no_buffers);
    if (lacks || buffer_ring_.entries == 0) return -ENOBUFS;
    if (std::atomic_ref(const_cast<io_uring_buf_ring*>(buffer_ring_.ring)->tail)
            .load(std::memory_order_acquire) == buffer_ring_.head) {
        ++world_.counters.no_buffers;
        return -ENOBUFS;
    }
    const unsigned slot = buffer_ring_.head++ & (buffer_ring_.entries - 1);
    const io_uring_buf& buffer = buffer_ring_.ring->bufs[slot];
    operation.buffer = buffer.bid;
    operation.entries.push_back({reinterpret_cast<void*>(buffer.addr), buffer.len});
    operation.total = buffer.len;
    return 0;
}

SimOperations::Result SimOperations::try_receive(SimOperation& operation) {
    if (!operation.tried) {
        if (const int error = world_.scripted_error(SimCall::receive)) return error;
    }
    if (const Result result = disturbed(operation)) return result;
    SimSocket& socket = *operation.socket;
    if (socket.in.arrived() == 0) {
        // Received bytes come before an error, which is lost: measured, not chosen.
        const std::optional<int> end = network_.end_of_receiving(socket);
        return end ? operation.partial_or(*end) : would_block(operation);
    }
    if (operation.selects_buffer()) {
        if (const int error = take_buffer(operation)) return error;
    }
    if (operation.left() == 0) return 0;
    std::size_t length = std::min(socket.in.arrived(), operation.left());
    const bool ends = cut_short(length, world_.receive_lengths, world_.faults.short_read,
                                world_.counters.short_reads);
    if (!readable(slice(operation.entries, operation.done, length))) {
        return operation.partial_or(-EFAULT);
    }
    operation.done += network_.receive(socket, length, &operation.arrived);
    DCHECK(operation.arrived.size() == operation.done);
    if (ends || operation.left() == 0 || !(operation.message_flags & MSG_WAITALL)) {
        return static_cast<int>(operation.done);
    }
    // An end that has arrived already will not wake the operation.
    const bool over = socket.in.arrived() == 0 && network_.end_of_receiving(socket);
    return over ? static_cast<int>(operation.done) : would_block(operation);
}

}  // namespace uaio
