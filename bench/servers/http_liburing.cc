// The floor of an HTTP server: raw liburing with one-shot operations, which parses nothing. All
// requests have the size of the first, and each gets the same response. It prints its port and runs
// until it is killed.
#include "bench/peers/raw_ring.h"
#include "bench/servers/echo.h"
#include "bench/support/loopback.h"

#include <sys/socket.h>

#include <array>
#include <string>
#include <string_view>

namespace {

using uaio::bench::Descriptor;

// As long as the library's.
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello, world\n";
constexpr std::size_t kRequestsMax = 16;  // at a time

// The lowest bits of user_data; the rest is the address of the connection.
enum Step : std::uintptr_t { receive, send, accept };
constexpr std::uintptr_t kStepMask = 3;

struct Connection {
    Descriptor socket;
    std::array<char, 4096> buffer;
    std::size_t request = 0;   // bytes of a request; 0 before the first
    std::size_t received = 0;  // bytes of requests without a response yet
    bool is_drained = false;   // the last receive emptied the socket
};

class Server {
public:
    Server() {
        for (std::size_t i = 0; i < kRequestsMax; ++i)
            responses_ += kResponse;
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
        if (step == Step::send) return;
        if (cqe.res <= 0) {
            delete &connection;
            return;
        }
        connection.is_drained = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
        const auto count = static_cast<std::size_t>(cqe.res);
        if (connection.request == 0) {
            const std::string_view text(connection.buffer.data(), count);
            connection.request = text.find("\r\n\r\n") + 4;
        }
        connection.received += count;
        respond(connection);
        receive_next(connection);
    }

    void on_accepted(const io_uring_cqe& cqe) {
        if (cqe.res >= 0) {
            auto* const connection = new Connection;
            connection->socket = Descriptor(cqe.res);
            uaio::bench::set_no_delay(cqe.res);
            receive_next(*connection);
        }
        if (!(cqe.flags & IORING_CQE_F_MORE)) accept_next();
    }

    void accept_next() {
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_multishot_accept(sqe, listening_.fd(), nullptr, nullptr, 0);
        sqe->user_data = Step::accept;
    }

    void receive_next(Connection& connection) {
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_recv(sqe, connection.socket.get(), connection.buffer.data(),
                           connection.buffer.size(), 0);
        if (connection.is_drained) sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
        sqe->user_data = reinterpret_cast<std::uintptr_t>(&connection) | Step::receive;
    }

    void respond(Connection& connection) {
        const std::size_t requests = connection.received / connection.request;
        if (requests == 0) return;
        connection.received %= connection.request;
        io_uring_sqe* const sqe = ring_.next();
        io_uring_prep_send(sqe, connection.socket.get(), responses_.data(),
                           requests * kResponse.size(), MSG_WAITALL | MSG_NOSIGNAL);
        sqe->user_data = reinterpret_cast<std::uintptr_t>(&connection) | Step::send;
    }

    std::string responses_;
    const uaio::bench::Listening listening_;
    uaio::bench::RawRing ring_;
};

}  // namespace

int main(int argc, char** argv) {
    uaio::bench::prepare(argc, argv);
    Server server;
    server.run();
}
