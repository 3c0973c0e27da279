// With uaio built with -Dhttp=false: every verb of an HTTP connection, and a client's request, end
// with not_supported, by one callback, nothing is transferred, and the stream below still works.
#include <uaio/aio.h>
#include <uaio/config.h>
#include <uaio/engine.h>
#include <uaio/error.h>
#include <uaio/http.h>
#include <uaio/stream.h>
#include <uaio/tcp.h>

#include <cstdio>
#include <cstring>
#include <utility>

static_assert(!uaio::kHttp, "this program is for a build with -Dhttp=false");

namespace {

using Verb = void (uaio::http::Connection::*)(uaio::Aio&) noexcept;

bool is_not_supported(uaio::http::Connection& connection, Verb verb, uaio::Engine& engine) {
    char bytes[] = "unsent";
    int calls = 0;
    uaio::Aio aio(engine, [&calls](uaio::Aio&) { ++calls; });
    aio.set_iov(bytes, sizeof bytes);
    (connection.*verb)(aio);
    if (calls != 0) return false;  // never inside the call
    return aio.wait() == uaio::Errc::not_supported && calls == 1 && aio.count() == 0;
}

}  // namespace

int main() {
    uaio::Engine engine;
    uaio::tcp::Listener listener(engine, uaio::Endpoint::loopback(0));
    uaio::StreamPtr server_end;
    uaio::StreamPtr client_end;
    uaio::Aio aio(engine);
    uaio::Aio connecting(engine);
    listener.accept(aio, server_end);
    uaio::tcp::connect(listener.local_endpoint(), {}, connecting, client_end);
    if (aio.wait() || connecting.wait()) return 1;

    uaio::http::Connection connection(std::move(server_end));
    for (const Verb verb : {&uaio::http::Connection::write_all, &uaio::http::Connection::write,
                            &uaio::http::Connection::read_all, &uaio::http::Connection::read}) {
        if (!is_not_supported(connection, verb, engine)) return 2;
    }

    char received[4] = {};
    aio.set_iov("raw", 4);
    connection.stream().write_all(aio);
    uaio::Aio reading(engine);
    reading.set_iov(received, sizeof received);
    client_end->read_all(reading);
    if (aio.wait() || reading.wait() || std::strcmp(received, "raw") != 0) return 3;

    uaio::tcp::Connector connector(listener.local_endpoint());
    uaio::http::Client client(connector);
    uaio::http::Request request("http://h/");
    uaio::http::Response response;
    client.transact(request, response, aio);
    if (aio.wait() != uaio::Errc::not_supported) return 4;
    std::puts("no HTTP, but a stream");
    return 0;
}
