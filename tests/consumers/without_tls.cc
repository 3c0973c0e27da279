// With uaio built with -Dtls=disabled: every operation that needs TLS ends with not_supported, by
// one callback, and connections without it still work, by the same Dialer and easy connection.
#include <uaio/aio.h>
#include <uaio/config.h>
#include <uaio/dialer.h>
#include <uaio/easy.h>
#include <uaio/engine.h>
#include <uaio/error.h>
#include <uaio/stream.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <cstdio>
#include <span>
#include <string>
#include <system_error>
#include <utility>

static_assert(!uaio::kTls, "this program is for a build with -Dtls=disabled");

namespace {

// The result of a verb that is given an Aio; protocol_error for a callback inside the call, more
// than one, or counted bytes.
template <class Verb>
std::error_code end_of(uaio::Engine& engine, Verb verb) {
    int calls = 0;
    uaio::Aio aio(engine, [&calls](uaio::Aio&) { ++calls; });
    verb(aio);
    if (calls != 0) return std::make_error_code(std::errc::protocol_error);
    const std::error_code error = aio.wait();
    const bool once = calls == 1 && aio.count() == 0;
    return once ? error : std::make_error_code(std::errc::protocol_error);
}

// A connection of a Dialer, and one of an easy connection, to a target with this scheme.
std::error_code dialed(uaio::Engine& engine, const std::string& url, uaio::StreamPtr& out) {
    uaio::Dialer dialer(url, {.proxy = ""});
    return end_of(engine, [&](uaio::Aio& aio) { dialer.connect(aio, out); });
}

std::error_code connected(uaio::Engine& engine, const std::string& url,
                          uaio::easy::Connection& connection) {
    return end_of(engine, [&](uaio::Aio& aio) { connection.connect(url, {.proxy = ""}, aio); });
}

}  // namespace

int main() {
    uaio::Engine engine;
    uaio::tcp::Listener listener(engine, uaio::Endpoint::loopback(0));
    const std::string place = "127.0.0.1:" + std::to_string(listener.local_endpoint().port());

    uaio::StreamPtr stream;
    for (const char* const scheme : {"https://", "wss://", "tls://"}) {
        if (dialed(engine, scheme + place, stream) != uaio::Errc::not_supported || stream) return 1;
        uaio::easy::Connection connection(engine);
        if (connected(engine, scheme + place, connection) != uaio::Errc::not_supported) return 2;
        if (connection.native_handle() != -1) return 3;
    }
    if (dialed(engine, "tcp://" + place, stream) || !stream) return 4;
    const uaio::tls::Context context;
    uaio::StreamPtr secured;
    const auto secure = [&](uaio::Aio& aio) {
        uaio::tls::connect(context, std::move(stream), {}, aio, secured);
    };
    if (end_of(engine, secure) != uaio::Errc::not_supported || secured) return 5;
    if (uaio::tls::offload().available) return 6;

    uaio::easy::Connection connection(engine);
    if (connected(engine, "tcp://" + place, connection)) return 7;
    const auto [error, count] = connection.try_send(std::as_bytes(std::span("raw")));
    if (error || count != 4) return 8;
    std::puts("no TLS, but a connection");
    return 0;
}
