// A program that needs all of the library: an HTTPS server on loopback, and requests to it by an
// http::Client over a Dialer and by an easy::Connection.
//
//   secure CERTIFICATE KEY       both in PEM; the certificate is for "localhost"
#include <uaio/dialer.h>
#include <uaio/easy.h>
#include <uaio/engine_group.h>
#include <uaio/error.h>
#include <uaio/http.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace {

constexpr std::string_view kContent = "over TLS\n";

int check(std::error_code error, const char* what) {
    if (error) std::fprintf(stderr, "%s: %s\n", what, uaio::strerror(error).c_str());
    return error ? 1 : 0;
}

int ask_by_client(uaio::Engine& engine, const std::string& url, const uaio::DialOptions& options) {
    uaio::Dialer dialer(url, options);
    uaio::http::Client client(dialer);
    uaio::http::Request request(url);
    uaio::http::Response response;
    uaio::Aio aio(engine);
    client.transact(request, response, aio);
    if (check(aio.wait(), "http::Client")) return 1;
    return response.status() == 200 && aio.count() == kContent.size() ? 0 : 1;
}

int ask_by_easy(uaio::Engine& engine, const std::string& url, const uaio::DialOptions& options) {
    uaio::easy::Connection connection(engine);
    uaio::Aio aio(engine);
    connection.connect(url, options, aio);
    if (check(aio.wait(), "easy::Connection")) return 1;
    std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    aio.set_iov(request.data(), request.size());
    connection.send_all(aio);
    if (check(aio.wait(), "send_all")) return 1;
    std::string response(4096, '\0');
    aio.set_iov(response.data(), response.size());
    connection.receive_all(aio);
    if (aio.wait() != uaio::Errc::end_of_stream) return check(aio.result(), "receive_all");
    response.resize(aio.count());
    return response.ends_with(kContent) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    try {
        uaio::tls::ContextOptions ours;
        ours.certificates = {{.chain = argv[1], .key = argv[2]}};
        uaio::tls::ContextOptions theirs;
        theirs.authorities = argv[1];

        uaio::EngineThread io;
        uaio::http::Server server(io.engine());
        server.handle("GET", "/", [](uaio::http::Exchange& one) { one.respond(kContent); });
        std::uint16_t port = 0;
        const auto plain = [&port](uaio::Engine& engine) {
            auto made = std::make_unique<uaio::tcp::Listener>(engine, uaio::Endpoint::loopback(0));
            port = made->local_endpoint().port();
            return made;
        };
        server.listen(uaio::tls::acceptor(plain, uaio::tls::Context(ours)));

        const std::string url = "https://localhost:" + std::to_string(port);
        uaio::DialOptions options;
        options.proxy = "";
        options.resolve = {"localhost:" + std::to_string(port) + ":127.0.0.1"};
        options.tls_context.emplace(theirs);
        if (ask_by_client(io.engine(), url, options) != 0) return 1;
        if (ask_by_easy(io.engine(), url, options) != 0) return 1;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
    std::puts("TLS, Dialer, easy and HTTP");
    return 0;
}
