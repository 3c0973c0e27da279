#include "bench/peers/echoes.h"

#include <sys/socket.h>

#include <stdexcept>

namespace uaio::bench {
namespace {

// The lowest bit of user_data; the rest is the address of the EchoEnd.
constexpr std::uint64_t kSend = 1;

void receive(RawRing& ring, EchoEnd& end) {
    io_uring_sqe* const sqe = ring.next();
    io_uring_prep_recv(sqe, end.socket.get(), end.message.data(), end.message.size(), 0);
    if (end.drained) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
    io_uring_sqe_set_data(sqe, &end);
}

void send(RawRing& ring, EchoEnd& end) {
    io_uring_sqe* const sqe = ring.next();
    io_uring_prep_send(sqe, end.socket.get(), end.message.data(), end.message.size(),
                       MSG_WAITALL | MSG_NOSIGNAL);
    sqe->user_data = reinterpret_cast<std::uintptr_t>(&end) | kSend;
}

// Returns the end that received a message; nullptr for the completion of a send.
EchoEnd* received(const io_uring_cqe& cqe) {
    if (cqe.res != static_cast<int>(sizeof(Message))) {
        throw std::runtime_error("a message arrived in pieces, or its connection ended");
    }
    if (cqe.user_data & kSend) return nullptr;
    EchoEnd* const end = reinterpret_cast<EchoEnd*>(cqe.user_data);
    end->drained = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    return end;
}

}  // namespace

void echo_by_liburing(EchoEnds& ends, Meter& meter) {
    RawRing ring;
    for (EchoEnd& end : ends)
        receive(ring, end);
    const auto handle = [&](const io_uring_cqe& cqe) {
        EchoEnd* const end = received(cqe);
        if (!end) return true;
        if (end->counted && !meter.count()) return false;
        send(ring, *end);
        receive(ring, *end);
        return true;
    };
    while (ring.turn(handle))
        continue;
}

}  // namespace uaio::bench
