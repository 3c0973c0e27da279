// The work of http::Client: 64 requests at a time, each on a connection that is kept.
#include <uaio/http_client.h>
#include <uaio/tcp.h>

#include "bench/instructions/peer_sockets.h"
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"
#include "bench/peers/raw_ring.h"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include <liburing.h>

namespace uaio::bench {
namespace {

// The floor sends the same request as the library.
constexpr std::string_view kRequest = "GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello, world\n";

class Client {
public:
    Client(Control& control, std::uint64_t count)
        : control_(control),
          left_(count),
          connector_(Endpoint::loopback(control.receive_port())),
          client_(connector_, {.connections = kConnections}) {
        for (std::uint64_t i = 0; i < kConnections; ++i)
            exchanges_.push_back(std::make_unique<Exchange>(*this));
    }

    void run() {
        for (const std::unique_ptr<Exchange>& exchange : exchanges_)
            exchange->start();
        engine_.run();
        if (error_) throw std::system_error(error_, "transact");
    }

private:
    struct Exchange {
        explicit Exchange(Client& client)
            : owner(client), aio(client.engine_, [this](Aio&) { owner.on_response(*this); }) {
            if (request.set_target("/fixed") || request.headers().set("Host", "127.0.0.1")) {
                throw std::runtime_error("an invalid request");
            }
        }
        void start() { owner.client_.transact(request, response, aio); }

        Client& owner;
        http::Request request;
        http::Response response;
        Aio aio;
    };

    void on_response(Exchange& exchange) {
        error_ = exchange.aio.result();
        if (error_ || --left_ == 0) return engine_.stop();
        // The peer ends after the last batch.
        if (left_ >= kConnections) exchange.start();
        if (left_ % kConnections != 0) return;
        // The first batch makes the connections, for which the peer needs no signal.
        if (!connected_) control_.wait();
        connected_ = true;
        turns_ = 0;
        next_turn();
    }

    // Waits until the kernel has the requests of the batch, which takes two turns; the peer answers
    // when it has received all of them.
    void next_turn() {
        if (turns_++ == 2) return control_.wait();
        submit_nop(engine_, turn_);
    }

    Control& control_;
    std::uint64_t left_;
    bool connected_ = false;
    int turns_ = 0;
    std::error_code error_;
    Engine engine_{on_io_uring()};
    tcp::Connector connector_;
    http::Client client_;
    Aio turn_{engine_, [this](Aio&) { next_turn(); }};
    std::vector<std::unique_ptr<Exchange>> exchanges_;
};

// The lowest bit of user_data says that a send has completed.
struct Connection {
    Descriptor socket;
    std::array<char, 1024> in;
};

void send_request(RawRing& ring, Connection& connection) {
    io_uring_sqe* const sqe = ring.next();
    io_uring_prep_send(sqe, connection.socket.get(), kRequest.data(), kRequest.size(),
                       MSG_WAITALL | MSG_NOSIGNAL);
    sqe->user_data = reinterpret_cast<std::uintptr_t>(&connection) | 1;
}

void receive_response(RawRing& ring, Connection& connection) {
    io_uring_sqe* const sqe = ring.next();
    io_uring_prep_recv(sqe, connection.socket.get(), connection.in.data(), connection.in.size(), 0);
    io_uring_sqe_set_data(sqe, &connection);
}

}  // namespace

void http_client(Control& control, std::uint64_t count) { Client(control, count).run(); }

void http_client_floor(Control& control, std::uint64_t count) {
    const std::uint16_t port = control.receive_port();
    RawRing ring;
    std::vector<Connection> connections(kConnections);
    for (Connection& connection : connections) {
        connection.socket = connect_to(port);
        send_request(ring, connection);
    }
    std::uint64_t sent = 0;
    const auto handle = [&](const io_uring_cqe& cqe) {
        if (cqe.res <= 0) throw std::runtime_error("a transfer failed");
        Connection& connection = *reinterpret_cast<Connection*>(cqe.user_data & ~std::uintptr_t{1});
        if (cqe.user_data & 1) {
            receive_response(ring, connection);
            if (++sent % kConnections == 0) control.wait();
            return true;
        }
        if (--count == 0) return false;
        send_request(ring, connection);
        return true;
    };
    while (ring.turn(handle))
        continue;
}

void http_client_peer(Control& control, std::uint64_t count) {
    const Listening listening;
    control.send_port(listening.port());
    std::vector<Descriptor> sockets;
    for (std::uint64_t i = 0; i < kConnections; ++i)
        sockets.push_back(listening.accept());
    // The size of the requests, which are all the same: the first ends with the head.
    std::size_t size = 0;
    for (std::uint64_t left = count; left > 0; left -= kConnections) {
        for (const Descriptor& socket : sockets) {
            if (size == 0) {
                size = receive_head(socket.get()).size();
            } else {
                receive(socket.get(), size);
            }
        }
        for (const Descriptor& socket : sockets)
            send(socket.get(), kResponse);
        control.signal();
    }
}

}  // namespace uaio::bench
