// The server that http_server.py loads: a fixed response and the files of a folder, on one engine.
// Prints its port and runs until it is killed.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include <cstdio>
#include <memory>

int main(int argc, char** argv) {
    uaio::Engine engine;
    uaio::http::Server server(engine);
    server.handle("GET", "/fixed", uaio::http::fixed_content("hello, world\n", "text/plain"));
    if (argc > 1) server.handle("GET", "/", uaio::http::directory(argv[1])).tree();
    server.listen([](uaio::Engine& on) {
        auto listener = std::make_unique<uaio::tcp::Listener>(on, uaio::Endpoint::loopback(0));
        std::printf("%u\n", listener->local().port());
        std::fflush(stdout);
        return listener;
    });
    engine.run();
}
