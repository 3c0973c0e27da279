// The echo server of Asio, with callbacks. The executor's type is known at compile time, and the
// context does not lock, since one thread uses it; its handlers' memory is recycled by default.
// Built twice: on epoll, and on io_uring as the program echo_asio_io_uring.
#include "bench/servers/echo.h"

#include <memory>
#include <utility>
#include <vector>

#include <asio.hpp>

namespace {

using asio::ip::tcp;
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

// Lives until the peer closes.
class Session {
public:
    Session(Socket socket, std::size_t bytes) : socket_(std::move(socket)), buffer_(bytes) {
        socket_.set_option(tcp::no_delay(true));
    }

    void read() {
        socket_.async_read_some(asio::buffer(buffer_),
                                [this](const asio::error_code& error, std::size_t count) {
                                    if (!error) return write(count);
                                    delete this;
                                });
    }

private:
    void write(std::size_t count) {
        asio::async_write(socket_, asio::buffer(buffer_.data(), count),
                          [this](const asio::error_code& error, std::size_t) {
                              if (!error) return read();
                              delete this;
                          });
    }

    Socket socket_;
    std::vector<char> buffer_;
};

void accept(Acceptor& acceptor, std::size_t bytes) {
    acceptor.async_accept([&acceptor, bytes](const asio::error_code& error, Socket socket) {
        if (!error) (new Session(std::move(socket), bytes))->read();
        accept(acceptor, bytes);
    });
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t bytes = uaio::bench::prepare(argc, argv);
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    Acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    accept(acceptor, bytes);
    uaio::bench::announce(acceptor.local_endpoint().port());
    context.run();
}
