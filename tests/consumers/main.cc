// The program of each of the three consumer projects: one write_all over TCP, as a user would write
// it.
#include <uaio/aio.h>
#include <uaio/engine_group.h>
#include <uaio/error.h>
#include <uaio/http.h>
#include <uaio/stream.h>
#include <uaio/tcp.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

int main() {
    uaio::EngineThread io;
    uaio::tcp::Listener listener(io.engine(), uaio::Endpoint::loopback(0));
    uaio::StreamPtr server_end;
    uaio::StreamPtr client_end;
    uaio::Aio accepting(io.engine());
    uaio::Aio connecting(io.engine());
    listener.accept(accepting, server_end);
    uaio::tcp::connect(listener.local_endpoint(), {}, connecting, client_end);
    if (accepting.wait() || connecting.wait()) return 1;

    uaio::http::Connection connection(std::move(server_end));
    std::string head = "one iovec list, ";
    std::string tail = "two entries\n";
    std::array<iovec, 2> buffers{{{head.data(), head.size()}, {tail.data(), tail.size()}}};
    uaio::Aio writing(io.engine());
    if (writing.set_iov(buffers)) return 1;
    connection.write_all(writing);

    std::string received(head.size() + tail.size(), '\0');
    uaio::Aio reading(io.engine());
    reading.set_iov(received.data(), received.size());
    client_end->read_all(reading);

    if (writing.wait() || reading.wait()) return 1;
    std::printf("%zu bytes: %s", writing.count(), received.c_str());
    return received == head + tail ? 0 : 1;
}
