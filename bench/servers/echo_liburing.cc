// The echo server of raw liburing: one-shot receives and sends, with two buffers a connection, so
// that the next receive is submitted with the send.
#include "bench/peers/raw_ring.h"
#include "bench/servers/echo.h"
#include "bench/support/loopback.h"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace {

using uaio::bench::Descriptor;
using uaio::bench::RawRing;

// The lowest bits of user_data; the rest is the address of the connection.
enum Step : std::uintptr_t { receive, send, accept };
constexpr std::uintptr_t kStepMask = 3;

struct Connection {
    Descriptor socket;
    std::array<std::vector<char>, 2> buffers;
    unsigned receiving = 0;    // the buffer of the next or current receive
    std::size_t received = 0;  // bytes that wait for the send before them
    bool is_sending = false;
    bool has_ended = false;
    bool is_drained = false;  // the last receive emptied the socket
};

class Server {
public:
    explicit Server(std::size_t bytes) : bytes_(bytes) {
        accept_next();
        uaio::bench::announce(listening_.port());
    }

    void run() {
        while (ring_.turn([this](const io_uring_cqe& cqe) {
            on_completion(cqe);
            return true;
        })) {
        }
    }

private:
    void on_completion(const io_uring_cqe& cqe) {
        const std::uintptr_t step = cqe.user_data & kStepMask;
        if (step == Step::accept) return on_accepted(cqe);
        Connection& connection = *reinterpret_cast<Connection*>(cqe.user_data & ~kStepMask);
        if (step == Step::send) {
            connection.is_sending = false;
            if (connection.received > 0) return send_received(connection);
            if (connection.has_ended) delete &connection;
            return;
        }
        if (cqe.res <= 0) {
            connection.has_ended = true;
            if (!connection.is_sending) delete &connection;
            return;
        }
        connection.is_drained = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
        connection.received = static_cast<std::size_t>(cqe.res);
        if (!connection.is_sending) send_received(connection);
    }

    void on_accepted(const io_uring_cqe& cqe) {
        if (cqe.res >= 0) {
            auto connection = std::make_unique<Connection>();
            connection->socket = Descriptor(cqe.res);
            uaio::bench::set_no_delay(cqe.res);
            for (std::vector<char>& buffer : connection->buffers)
                buffer.resize(bytes_);
            receive_next(*connection.release());
        }
        if (!(cqe.flags & IORING_CQE_F_MORE)) accept_next();
    }

    void accept_next() {
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_multishot_accept(sqe, listening_.fd(), nullptr, nullptr, 0);
        sqe->user_data = Step::accept;
    }

    void receive_next(Connection& connection) {
        std::vector<char>& buffer = connection.buffers[connection.receiving];
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_recv(sqe, connection.socket.get(), buffer.data(), buffer.size(), 0);
        if (connection.is_drained) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
        sqe->user_data = reinterpret_cast<std::uintptr_t>(&connection) | Step::receive;
    }

    void send_received(Connection& connection) {
        const std::vector<char>& buffer = connection.buffers[connection.receiving];
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_send(sqe, connection.socket.get(), buffer.data(), connection.received,
                           MSG_WAITALL | MSG_NOSIGNAL);
        sqe->user_data = reinterpret_cast<std::uintptr_t>(&connection) | Step::send;
        connection.is_sending = true;
        connection.received = 0;
        connection.receiving ^= 1;
        receive_next(connection);
    }

    const std::size_t bytes_;
    const uaio::bench::Listening listening_;
    RawRing ring_;
};

}  // namespace

int main(int argc, char** argv) {
    Server server(uaio::bench::prepare(argc, argv));
    server.run();
}
