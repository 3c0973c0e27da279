// One SQE that the simulated kernel took, until its last completion is posted. Entries, addresses
// and headers are copied when it is taken (IORING_FEAT_SUBMIT_STABLE); the bytes they point to are
// read when they are sent, and received bytes are written when the completion is posted, as late as
// a real kernel may. For the kernel's thread.
#pragma once

#include "base/check.h"
#include "engine/kernel/sim/sim_socket.h"

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <liburing.h>

namespace uaio {

class SimOperations;

// The fields of an io_uring_sqe that the kernel needs; the type itself ends in an array without a
// size and cannot be a member.
struct SimRequest {
    explicit SimRequest(const io_uring_sqe& sqe) noexcept
        : opcode(sqe.opcode),
          flags(sqe.flags),
          ioprio(sqe.ioprio),
          fd(sqe.fd),
          off(sqe.off),
          addr(sqe.addr),
          len(sqe.len),
          call_flags(sqe.msg_flags),
          user_data(sqe.user_data) {}

    // The names that share a field of the SQE.
    static_assert(offsetof(io_uring_sqe, off) == offsetof(io_uring_sqe, addr2));
    static_assert(offsetof(io_uring_sqe, msg_flags) == offsetof(io_uring_sqe, cancel_flags));
    static_assert(offsetof(io_uring_sqe, msg_flags) == offsetof(io_uring_sqe, poll32_events));

    std::uint8_t opcode;
    std::uint8_t flags;
    std::uint16_t ioprio;
    int fd;
    std::uint64_t off;  // also addr2
    std::uint64_t addr;
    unsigned len;
    unsigned call_flags;  // msg_flags, cancel_flags and so on
    std::uint64_t user_data;
};

struct SimOperation final : SimLender {
    enum class Kind : std::uint8_t {
        nop,
        send,
        receive,
        accept,
        connect,
        cancel,
        shutdown,
        close,
        poll,
        read,
    };

    enum class State : std::uint8_t {
        begun,     // its latency runs, no attempt was made
        waiting,   // for its socket; it may have been done in part
        decided,   // its result is known, its completion not yet posted
        reported,  // its result was posted, its zero-copy notification not yet
    };

    SimOperation(SimOperations& own_operations, std::uint64_t own_number,
                 const io_uring_sqe& own_sqe, Kind own_kind)
        : operations(own_operations), number(own_number), sqe(own_sqe), kind(own_kind) {}

    void give_back(std::size_t bytes) override;

    // It takes its buffer when bytes have arrived.
    bool selects_buffer() const noexcept { return (sqe.flags & IOSQE_BUFFER_SELECT) != 0; }
    bool transfers() const noexcept { return kind == Kind::send || kind == Kind::receive; }
    bool stoppable() const noexcept { return state == State::begun || state == State::waiting; }
    std::size_t left() const noexcept {
        DCHECK(done <= total);
        return total - done;
    }
    SimDirection direction() const noexcept {
        const bool in = kind == Kind::receive || kind == Kind::accept ||
                        (kind == Kind::poll && sqe.call_flags & POLLIN);
        return in ? SimDirection::in : SimDirection::out;
    }
    // The number of bytes done, or `otherwise` if none.
    int partial_or(int otherwise) const noexcept {
        return done > 0 ? static_cast<int>(done) : otherwise;
    }
    // True if it is in a queue of its socket exactly while it waits, holds its socket until its
    // result is posted, and counts bytes that it may have.
    bool is_consistent() const noexcept;
    std::string text() const;

    SimOperations& operations;
    const std::uint64_t number;
    const SimRequest sqe;
    const Kind kind;
    State state = State::begun;
    bool tried = false;
    SimSocket* socket = nullptr;  // held, until the result is posted

    // A transfer.
    std::vector<iovec> entries;
    msghdr* header = nullptr;  // of RECVMSG: the kernel writes into it at the end
    unsigned message_flags = 0;
    std::size_t total = 0;
    std::size_t done = 0;
    std::string arrived;  // received, and not yet written to the caller's memory
    int buffer = -1;      // the number of the provided buffer that it has taken, or -1

    // A zero-copy send: the bytes in a channel, and the content of its notification.
    bool zero_copy = false;
    bool copies = false;
    bool notifies = false;
    std::size_t lent = 0;

    SimAddress address;  // to connect to, or of the accepted connection
    int result = 0;
    std::chrono::nanoseconds report_delay{0};
};

}  // namespace uaio
