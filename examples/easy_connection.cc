// Raw bytes to a server and back, as with libcurl's CURLOPT_CONNECT_ONLY: the library handles
// names, proxies and TLS, and the loop below is curl's example sendrecv.c without its select.
//
//   easy_connection URL TEXT      sends TEXT and prints the reply, to the end
//   easy_connection               the same with an echo server of its own
#include <uaio/easy.h>
#include <uaio/engine.h>
#include <uaio/tcp.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using Direction = uaio::Direction;

// Sends all of `text` with attempts; after each would_block it runs the engine until there is room.
std::error_code send_all(uaio::easy::Connection& connection, std::string_view text,
                         uaio::Aio& aio) {
    std::span<const std::byte> rest = std::as_bytes(std::span(text.data(), text.size()));
    while (!rest.empty()) {
        const auto [error, count] = connection.try_send(rest);
        rest = rest.subspan(count);
        if (!error) continue;
        if (error != uaio::Errc::operation_would_block) return error;
        connection.wait_for(Direction::send, aio);
        if (aio.wait()) return aio.result();
    }
    return {};
}

// Prints received bytes, at most `limit`.
std::error_code print(uaio::easy::Connection& connection, std::size_t limit, uaio::Aio& aio) {
    std::array<std::byte, 4096> buffer;
    while (limit > 0) {
        const auto [error, count] = connection.try_receive(
            std::span(buffer).first(limit < buffer.size() ? limit : buffer.size()));
        std::fwrite(buffer.data(), 1, count, stdout);
        limit -= count;
        if (!error) continue;
        if (error == uaio::Errc::end_of_stream) return {};
        if (error != uaio::Errc::operation_would_block) return error;
        connection.wait_for(Direction::receive, aio);
        if (aio.wait()) return aio.result();
    }
    return {};
}

std::error_code exchange(uaio::Engine& engine, const std::string& url, std::string_view text,
                         std::size_t limit) {
    uaio::easy::Connection connection(engine);
    uaio::Aio aio(engine);
    aio.set_timeout(std::chrono::seconds(10));  // for each operation below
    connection.connect(url, {}, aio);
    if (aio.wait()) return aio.result();
    if (const auto error = send_all(connection, text, aio)) return error;
    return print(connection, limit, aio);
}

// Echoes one connection until it ends.
class Echo {
public:
    explicit Echo(uaio::Engine& engine)
        : listener_(engine, uaio::Endpoint::loopback(0)),
          aio_(engine, [this](uaio::Aio&) { (this->*next_)(); }) {
        listener_.accept(aio_, stream_);
    }
    std::string url() const { return "tcp://" + listener_.local_endpoint().to_string(); }

private:
    void read() {
        if (aio_.result()) return;
        aio_.set_iov(buffer_.data(), buffer_.size());
        next_ = &Echo::write;
        stream_->read(aio_);
    }
    void write() {
        if (aio_.result()) return;
        aio_.set_iov(buffer_.data(), aio_.count());
        next_ = &Echo::read;
        stream_->write_all(aio_);
    }

    std::array<std::byte, 4096> buffer_;
    uaio::tcp::Listener listener_;
    uaio::StreamPtr stream_;
    void (Echo::*next_)() = &Echo::read;
    uaio::Aio aio_;
};

}  // namespace

int main(int argc, char** argv) {
    std::error_code error;
    uaio::Engine engine;
    if (argc < 3) {
        Echo echo(engine);
        const std::string_view text = "hello\n";
        error = exchange(engine, echo.url(), text, text.size());
    } else {
        error = exchange(engine, argv[1], argv[2], SIZE_MAX);
    }
    if (error) std::fprintf(stderr, "%s\n", uaio::strerror(error).c_str());
    return error ? 1 : 0;
}
