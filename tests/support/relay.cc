#include "tests/support/relay.h"

#include <uaio/await.h>
#include <uaio/tcp.h>

#include <memory>
#include <string>

namespace uaio {
namespace {

constexpr std::size_t kBuffer = 16 * 1024;

struct Tunnel {
    StreamPtr client;
    StreamPtr target;
};

// Copies until the end of `from`, then ends both.
Task<> pump(std::shared_ptr<Tunnel> tunnel, bool forward) {
    Stream& from = forward ? *tunnel->client : *tunnel->target;
    Stream& to = forward ? *tunnel->target : *tunnel->client;
    std::string buffer(kBuffer, '\0');
    for (;;) {
        const Transferred got = co_await read(from, buffer);
        if (got.error) break;
        const std::string_view bytes(buffer.data(), got.count);
        const Transferred put = co_await write_all(to, bytes);
        if (put.error) break;
    }
    to.close();
    from.close();
}

Task<> echo(StreamPtr stream) {
    Transferred done = co_await write_all(*stream, kGreeting);
    std::string buffer(kBuffer, '\0');
    while (!done.error) {
        done = co_await read(*stream, buffer);
        if (done.error) break;
        const std::string_view bytes(buffer.data(), done.count);
        done = co_await write_all(*stream, bytes);
    }
}

Task<> lead(StreamPtr client, Endpoint target, std::string early) {
    Engine& engine = co_await this_engine();
    auto tunnel = std::make_shared<Tunnel>();
    tunnel->client = std::move(client);
    std::string request;
    std::string buffer(kBuffer, '\0');
    while (!request.ends_with("\r\n\r\n")) {
        const Transferred got = co_await read(*tunnel->client, buffer);
        if (got.error) co_return;
        request.append(buffer, 0, got.count);
    }
    const tcp::ConnectOptions options;
    if (co_await connect(target, options, tunnel->target)) co_return;
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\n" + early;
    const Transferred put = co_await write_all(*tunnel->client, std::string_view(answer));
    if (put.error) co_return;
    spawn(engine, pump(tunnel, true));
    spawn(engine, pump(tunnel, false));
}

}  // namespace

Task<> serve_echo(Acceptor& acceptor) {
    Engine& engine = co_await this_engine();
    for (;;) {
        StreamPtr stream;
        if (co_await accept(acceptor, stream)) co_return;
        spawn(engine, echo(std::move(stream)));
    }
}

Task<> serve_proxy(Acceptor& acceptor, Endpoint target, std::string early) {
    Engine& engine = co_await this_engine();
    for (;;) {
        StreamPtr stream;
        if (co_await accept(acceptor, stream)) co_return;
        spawn(engine, lead(std::move(stream), target, early));
    }
}

}  // namespace uaio
