// The echo server of uaio: a session has one Aio, as in examples/echo_server.cc.
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include "bench/servers/echo.h"

#include <utility>
#include <vector>

namespace {

// Lives until the peer closes.
class Session {
public:
    Session(uaio::Engine& engine, uaio::StreamPtr stream, std::size_t bytes)
        : stream_(std::move(stream)),
          buffer_(bytes),
          aio_(engine, [this](uaio::Aio&) { (this->*next_)(); }) {}

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
        if (!aio_.result()) return read();
        delete this;
    }

    uaio::StreamPtr stream_;
    std::vector<char> buffer_;
    void (Session::*next_)() = nullptr;
    uaio::Aio aio_;
};

class Server {
public:
    Server(uaio::Engine& engine, std::size_t bytes)
        : bytes_(bytes),
          listener_(engine, uaio::Endpoint::loopback(0)),
          aio_(engine, [this](uaio::Aio& done) { on_accepted(done); }) {
        listener_.accept(aio_, stream_);
        uaio::bench::announce(listener_.local_endpoint().port());
    }

private:
    void on_accepted(uaio::Aio& done) {
        if (!done.result()) (new Session(done.engine(), std::move(stream_), bytes_))->read();
        listener_.accept(aio_, stream_);
    }

    const std::size_t bytes_;
    uaio::tcp::Listener listener_;
    uaio::StreamPtr stream_;
    uaio::Aio aio_;
};

}  // namespace

int main(int argc, char** argv) {
    const std::size_t bytes = uaio::bench::prepare(argc, argv);
    uaio::EngineOptions options;
    if (argc > 3) {
        options.entries = uaio::bench::number_of(argv[2]);
        options.completions = uaio::bench::number_of(argv[3]);
    }
    uaio::Engine engine(options);
    const Server server(engine, bytes);
    engine.run();
}
