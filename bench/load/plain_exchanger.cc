#include "bench/load/exchanger.h"
#include "bench/peers/raw_ring.h"
#include "bench/support/loopback.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

namespace uaio::bench {
namespace {

// user_data of a failed send, which is the only one that completes with an entry.
constexpr std::uint64_t kSend = ~std::uint64_t{0};

class PlainExchanger final : public Exchanger {
public:
    PlainExchanger(const Exchange& exchange, std::size_t connections, bool closes,
                   OnResponse on_response);

    void begin(std::size_t index) override;
    void turn(Clock::time_point limit) override;
    std::size_t active() const noexcept override { return active_; }

private:
    struct Connection {
        Descriptor socket;
        std::size_t received = 0;
    };

    void receive(std::size_t index, bool is_first);
    void on_completion(const io_uring_cqe& cqe);
    void finish(std::size_t index);

    const Exchange exchange_;
    const bool closes_;
    const OnResponse on_response_;
    RawRing ring_;
    std::vector<Connection> connections_;
    std::size_t active_ = 0;
};

PlainExchanger::PlainExchanger(const Exchange& exchange, std::size_t connections, bool closes,
                               OnResponse on_response)
    : exchange_(exchange),
      closes_(closes),
      on_response_(std::move(on_response)),
      connections_(connections) {
    if (closes_) return;
    for (Connection& connection : connections_)
        connection.socket = connect_to(exchange_.port);
}

void PlainExchanger::begin(std::size_t index) {
    Connection& connection = connections_[index];
    if (closes_) connection.socket = connect_to(exchange_.port);
    ++active_;
    connection.received = 0;
    io_uring_sqe* const sqe = ring_.next();
    io_uring_prep_send(sqe, connection.socket.get(), exchange_.request.data(),
                       exchange_.request.size(), MSG_WAITALL | MSG_NOSIGNAL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = kSend;
    receive(index, true);
}

void PlainExchanger::receive(std::size_t index, bool is_first) {
    const Connection& connection = connections_[index];
    // A connection that the server ends is read to its end: one byte more than the response.
    const std::size_t size = exchange_.response - connection.received + (closes_ ? 1 : 0);
    io_uring_sqe* const sqe = ring_.next();
    io_uring_prep_recv(sqe, connection.socket.get(), nullptr, size, MSG_TRUNC);
    if (is_first) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
    sqe->user_data = index;
}

void PlainExchanger::turn(Clock::time_point limit) {
    const auto left = std::max(limit - Clock::now(), Clock::duration::zero());
    __kernel_timespec wait{};
    wait.tv_nsec = std::chrono::nanoseconds(left % std::chrono::seconds(1)).count();
    wait.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
    io_uring_cqe* cqe = nullptr;
    const int result = io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &wait, nullptr);
    if (result < 0 && result != -ETIME && result != -EINTR) {
        throw std::runtime_error(std::string("io_uring_enter: ") + std::strerror(-result));
    }
    unsigned head = 0;
    unsigned seen = 0;
    io_uring_for_each_cqe(ring_.get(), head, cqe) {
        ++seen;
        on_completion(*cqe);
    }
    io_uring_cq_advance(ring_.get(), seen);
}

void PlainExchanger::on_completion(const io_uring_cqe& cqe) {
    if (cqe.user_data == kSend) throw std::runtime_error("a request could not be sent");
    const auto index = static_cast<std::size_t>(cqe.user_data);
    Connection& connection = connections_[index];
    if (closes_ && cqe.res == 0 && connection.received == exchange_.response) {
        connection.socket = Descriptor();
        return finish(index);
    }
    if (cqe.res <= 0) throw std::runtime_error("a connection ended early");
    connection.received += static_cast<std::size_t>(cqe.res);
    if (connection.received > exchange_.response) {
        throw std::runtime_error("a response is too long");
    }
    if (connection.received < exchange_.response || closes_) return receive(index, false);
    finish(index);
}

void PlainExchanger::finish(std::size_t index) {
    --active_;
    on_response_(index);
}

}  // namespace

std::unique_ptr<Exchanger> plain_exchanger(const Exchange& exchange, std::size_t connections,
                                           bool closes, Exchanger::OnResponse on_response) {
    return std::make_unique<PlainExchanger>(exchange, connections, closes, std::move(on_response));
}

}  // namespace uaio::bench
