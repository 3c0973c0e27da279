// The echo server of libuv. A connection has one buffer, and sends with uv_try_write(), which needs
// no request; only bytes that find no room in the socket go into uv_write(), and reading pauses.
#include "bench/servers/echo.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <cstdlib>
#include <vector>

namespace {

std::size_t bytes = 0;

struct Connection {
    uv_tcp_t handle;
    uv_write_t rest;
    std::vector<char> buffer = std::vector<char>(bytes);
};

void check(int result) {
    if (result < 0) std::abort();
}

Connection& of(uv_handle_t* handle) { return *static_cast<Connection*>(handle->data); }

void close(Connection& connection) {
    uv_close(reinterpret_cast<uv_handle_t*>(&connection.handle),
             [](uv_handle_t* handle) { delete &of(handle); });
}

void lend_buffer(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    std::vector<char>& memory = of(handle).buffer;
    *buffer = uv_buf_init(memory.data(), static_cast<unsigned>(memory.size()));
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);

void on_written(uv_write_t* request, int status) {
    Connection& connection = of(reinterpret_cast<uv_handle_t*>(request->handle));
    if (status < 0) return close(connection);
    check(uv_read_start(request->handle, &lend_buffer, &on_read));
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    Connection& connection = of(reinterpret_cast<uv_handle_t*>(stream));
    if (count < 0) return close(connection);
    if (count == 0) return;
    const uv_buf_t whole = uv_buf_init(buffer->base, static_cast<unsigned>(count));
    int sent = uv_try_write(stream, &whole, 1);
    if (sent == count) return;
    if (sent < 0 && sent != UV_EAGAIN) return close(connection);
    if (sent < 0) sent = 0;
    const uv_buf_t rest = uv_buf_init(buffer->base + sent, static_cast<unsigned>(count - sent));
    uv_read_stop(stream);
    check(uv_write(&connection.rest, stream, &rest, 1, &on_written));
}

void on_connection(uv_stream_t* server, int status) {
    check(status);
    auto* const connection = new Connection;
    check(uv_tcp_init(server->loop, &connection->handle));
    connection->handle.data = connection;
    auto* const stream = reinterpret_cast<uv_stream_t*>(&connection->handle);
    check(uv_accept(server, stream));
    check(uv_tcp_nodelay(&connection->handle, 1));
    check(uv_read_start(stream, &lend_buffer, &on_read));
}

}  // namespace

int main(int argc, char** argv) {
    bytes = uaio::bench::prepare(argc, argv);
    uv_loop_t* const loop = uv_default_loop();
    uv_tcp_t server;
    check(uv_tcp_init(loop, &server));
    sockaddr_in address{};
    int size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    check(uv_ip4_addr("127.0.0.1", 0, &address));
    check(uv_tcp_bind(&server, any, 0));
    check(uv_listen(reinterpret_cast<uv_stream_t*>(&server), SOMAXCONN, &on_connection));
    check(uv_tcp_getsockname(&server, any, &size));
    uaio::bench::announce(ntohs(address.sin_port));
    return uv_run(loop, UV_RUN_DEFAULT);
}
