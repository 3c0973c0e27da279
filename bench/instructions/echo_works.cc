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

// A connection of echo_and_close(): two allocations, as in examples/echo_server.cc.
class Session {
public:
    Session(Engine& engine, StreamPtr stream, Batches& batches)
        : stream_(std::move(stream)),
          batches_(batches),
          aio_(engine, [this](Aio&) { (this->*next_)(); }) {}

    void read() {
        next_ = &Session::on_read;
        aio_.set_iov(buffer_.data(), buffer_.size());
        stream_->read(aio_);
    }

private:
    void on_read() {
        if (aio_.result()) {
            delete this;
            return;
        }
        next_ = &Session::on_written;
        aio_.set_iov(buffer_.data(), aio_.count());
        stream_->write_all(aio_);
    }

    void on_written() {
        Engine& engine = aio_.engine();
        Batches& batches = batches_;
        read();
        if (!batches.count()) engine.stop();
    }

    StreamPtr stream_;
    Batches& batches_;
    Message buffer_;
    void (Session::*next_)() = nullptr;
    Aio aio_;
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
    Engine engine(on_io_uring());
    Batches batches(control, kConnections, count);
    tcp::Listener listener(engine, Endpoint::loopback(0));
    control.send_port(listener.local_endpoint().port());
    StreamPtr stream;
    Aio accepting(engine, [&](Aio& aio) {
        if (aio.result()) return;
        (new Session(engine, std::move(stream), batches))->read();
        listener.accept(aio, stream);
    });
    control.wait();
    listener.accept(accepting, stream);
    engine.run();
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
