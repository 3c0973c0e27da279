// The works that echo messages: on connections that stay, with callbacks and with coroutines, and
// on connections that last for one message.
#include <uaio/await.h>
#include <uaio/tcp.h>

#include "bench/instructions/echo_server.h"
#include "bench/instructions/peer_sockets.h"
#include "bench/instructions/raw_server.h"
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"

#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace uaio::bench {
namespace {

class Coroutines {
public:
    Coroutines(Control& control, std::uint64_t count)
        : control_(control), batches_(control, kConnections, count) {
        control.send_port(listener_.local_endpoint().port());
    }

    void run() {
        std::vector<StreamPtr> streams = accept_all(engine_, listener_);
        control_.wait();
        for (StreamPtr& stream : streams)
            spawn(engine_, serve(std::move(stream)));
        engine_.run();
    }

private:
    Task<> serve(StreamPtr stream) {
        Message buffer;
        for (;;) {
            const auto [error, count] = co_await read(*stream, buffer);
            if (error) co_return;
            const auto written = co_await uaio::write_all(*stream, std::span(buffer).first(count));
            if (written.error) co_return;
            if (!batches_.count()) engine_.stop();
        }
    }

    Control& control_;
    Batches batches_;
    Engine engine_{on_io_uring()};
    tcp::Listener listener_{engine_, Endpoint::loopback(0)};
};

// The server of echo_and_close(). A connection that ends leaves its object, an Aio and a buffer, to
// a later one.
class ClosingServer {
public:
    ClosingServer(Control& control, std::uint64_t count) : batches_(control, kConnections, count) {
        control.send_port(listener_.local_endpoint().port());
        control.wait();
        listener_.accept(accepting_, stream_);
        engine_.run();
    }

private:
    struct Session {
        explicit Session(ClosingServer& owner)
            : server(owner), aio(owner.engine_, [this](Aio&) { (server.*next)(*this); }) {}

        ClosingServer& server;
        StreamPtr stream;
        Message buffer;
        void (ClosingServer::*next)(Session&) = nullptr;
        Aio aio;
    };

    void on_accepted() {
        if (accepting_.result()) return;
        if (idle_.empty()) {
            sessions_.push_back(std::make_unique<Session>(*this));
            idle_.push_back(sessions_.back().get());
        }
        Session& session = *idle_.back();
        idle_.pop_back();
        session.stream = std::move(stream_);
        read(session);
        listener_.accept(accepting_, stream_);
    }

    void read(Session& session) {
        session.next = &ClosingServer::on_read;
        session.aio.set_iov(session.buffer.data(), session.buffer.size());
        session.stream->read(session.aio);
    }

    void on_read(Session& session) {
        if (session.aio.result()) {
            session.stream.reset();
            idle_.push_back(&session);
            return;
        }
        session.next = &ClosingServer::on_written;
        session.aio.set_iov(session.buffer.data(), session.aio.count());
        session.stream->write_all(session.aio);
    }

    void on_written(Session& session) {
        read(session);
        if (!batches_.count()) engine_.stop();
    }

    Batches batches_;
    Engine engine_{on_io_uring()};
    tcp::Listener listener_{engine_, Endpoint::loopback(0)};
    StreamPtr stream_;
    std::vector<std::unique_ptr<Session>> sessions_;
    std::vector<Session*> idle_;
    Aio accepting_{engine_, [this](Aio&) { on_accepted(); }};
};

}  // namespace

void echo_with_callbacks(Control& control, std::uint64_t count) {
    Engine engine(on_io_uring());
    tcp::Listener listener(engine, Endpoint::loopback(0));
    control.send_port(listener.local_endpoint().port());
    EchoServer(engine, accept_all(engine, listener)).run(control, count);
}

void echo_with_coroutines(Control& control, std::uint64_t count) {
    Coroutines(control, count).run();
}

void echo_floor(Control& control, std::uint64_t count) {
    RawServer({.request = sizeof(Message), .reply = {}}).run(control, count);
}

void echo_peer(Control& control, std::uint64_t count) {
    const Message message{};
    send_in_batches(control, count / kConnections, {message.data(), message.size()},
                    [](int fd) { receive(fd, sizeof(Message)); });
}

void echo_and_close(Control& control, std::uint64_t count) {
    const ClosingServer server(control, count);
}

void echo_and_close_floor(Control& control, std::uint64_t count) {
    RawServer({.request = sizeof(Message), .reply = {}}).run_closing(control, count);
}

void echo_and_close_peer(Control& control, std::uint64_t count) {
    const Message message{};
    connect_in_batches(control, count / kConnections, {message.data(), message.size()},
                       [](int fd) { receive(fd, sizeof(Message)); });
}

}  // namespace uaio::bench
