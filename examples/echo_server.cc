// An echo server with callbacks: one engine, one thread, any number of connections, two allocations
// a connection and none a message.
//
//   echo_server PORT    serves until it is killed; try: nc 127.0.0.1 PORT
//   echo_server         serves one connection of its own and ends
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

// One connection. Lives until the peer closes; reuses its Aio for every read and write.
class Session {
public:
    Session(uaio::Engine& engine, uaio::StreamPtr stream)
        : stream_(std::move(stream)), aio_(engine, [this](uaio::Aio&) { (this->*next_)(); }) {}

    void read() {
        next_ = &Session::on_read;
        aio_.set_iov(buffer_.data(), buffer_.size());
        stream_->read(aio_);
    }

private:
    void on_read() {
        if (aio_.result()) {  // the end of the stream, or an error: this is the last callback
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
    std::array<char, 16384> buffer_;
    void (Session::*next_)() = nullptr;
    uaio::Aio aio_;  // last, so that it is destroyed first: the buffer must outlive it
};

class Server {
public:
    Server(uaio::Engine& engine, std::uint16_t port)
        : listener_(engine, uaio::Endpoint::loopback(port)),
          aio_(engine, [this](uaio::Aio& done) { on_accepted(done); }) {
        listener_.accept(aio_, stream_);
    }
    uaio::Endpoint endpoint() const { return listener_.local_endpoint(); }

private:
    void on_accepted(uaio::Aio& done) {
        if (done.result() == uaio::Errc::closed) return;  // the listener is closed
        if (!done.result()) (new Session(done.engine(), std::move(stream_)))->read();
        listener_.accept(aio_, stream_);
    }

    uaio::tcp::Listener listener_;
    uaio::StreamPtr stream_;
    uaio::Aio aio_;
};

// Sends a line and waits for its echo; runs the engine meanwhile.
bool echoes(uaio::Engine& engine, const uaio::Endpoint& server) {
    constexpr std::string_view kLine = "echo this line\n";
    uaio::StreamPtr stream;
    uaio::Aio aio(engine);
    uaio::tcp::connect(server, {}, aio, stream);
    if (aio.wait()) return false;
    aio.set_iov(kLine.data(), kLine.size());
    stream->write_all(aio);
    if (aio.wait()) return false;
    char answer[kLine.size()];
    aio.set_iov(answer, sizeof answer);
    stream->read_all(aio);
    return !aio.wait() && kLine == std::string_view(answer, sizeof answer);
}

}  // namespace

int main(int count, char** arguments) {
    std::uint16_t port = 0;  // any free one
    if (count > 1) std::from_chars(arguments[1], arguments[1] + std::strlen(arguments[1]), port);
    uaio::Engine engine;
    Server server(engine, port);
    std::printf("listening on %s\n", server.endpoint().to_string().c_str());
    if (count == 1) return echoes(engine, server.endpoint()) ? 0 : 1;
    engine.run();
}
