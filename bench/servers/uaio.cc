// The server that http_server.py and the TLS benchmarks load: a fixed response and the files of a
// folder, on one engine; over TLS, if a certificate and its key follow the folder. Prints its port
// and runs until it is killed.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <cstdio>
#include <memory>
#include <utility>

int main(int argc, char** argv) {
    uaio::Engine engine;
    uaio::http::Server server(engine);
    server.handle("GET", "/fixed", uaio::http::fixed_content("hello, world\n", "text/plain"));
    if (argc > 1) server.handle("GET", "/", uaio::http::directory(argv[1])).prefix();
    uaio::AcceptorFactory acceptor = [](uaio::Engine& on) {
        auto listener = std::make_unique<uaio::tcp::Listener>(on, uaio::Endpoint::loopback(0));
        std::printf("%u\n", listener->local_endpoint().port());
        std::fflush(stdout);
        return listener;
    };
    if (argc > 3) {
        uaio::tls::ContextOptions options;
        options.certificates = {{.chain = argv[2], .key = argv[3]}};
        acceptor = uaio::tls::acceptor(std::move(acceptor), uaio::tls::Context(options));
    }
    server.listen(acceptor);
    engine.run();
}
