// Calls exit(3) while an engine's thread repeats TLS handshakes:
//
//     tls_exit CERTIFICATE KEY local|global
//
// The engine is one of main() or one of the whole program; the others are files in PEM. Ends with
// 0. For tests/tls_exit_test.py.
#include <uaio/engine_group.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <system_error>

namespace {

std::atomic<unsigned> handshakes{0};

// Both sides of one connection after another.
class Loop {
public:
    Loop(uaio::Engine& engine, const uaio::tls::Context& server, const uaio::tls::Context& client)
        : server_(engine, [this](uaio::Aio& done) { next(done); }),
          client_(engine, [this](uaio::Aio& done) { next(done); }) {
        auto below = std::make_unique<uaio::tcp::Listener>(engine, uaio::Endpoint::loopback(0));
        tcp_ = std::make_unique<uaio::tcp::Connector>(below->local_endpoint());
        listener_ = std::make_unique<uaio::tls::Listener>(engine, std::move(below), server);
        connector_ = std::make_unique<uaio::tls::Connector>(
            *tcp_, client, uaio::tls::ClientOptions{.server_name = "localhost"});
        listener_->accept(server_, accepted_);
        connector_->connect(client_, connected_);
    }

private:
    void next(uaio::Aio& done) {
        if (done.result()) return;  // the engine ends
        if (&done == &server_) {
            ++handshakes;
            handshakes.notify_one();
            accepted_.reset();
            listener_->accept(server_, accepted_);
        } else {
            connected_.reset();
            connector_->connect(client_, connected_);
        }
    }

    std::unique_ptr<uaio::tls::Listener> listener_;
    std::unique_ptr<uaio::tcp::Connector> tcp_;
    std::unique_ptr<uaio::tls::Connector> connector_;
    uaio::StreamPtr accepted_;
    uaio::StreamPtr connected_;
    uaio::Aio server_;
    uaio::Aio client_;
};

[[noreturn]] void run(uaio::Engine& engine, const char* certificate, const char* key) {
    uaio::tls::ContextOptions options;
    options.certificates.push_back({.chain = certificate, .key = key});
    options.verify_peer = false;
    const uaio::tls::Context server(options);
    const uaio::tls::Context client(options);
    // Never destroyed, as in a program that relies on exit().
    static Loop* const loop = new Loop(engine, server, client);
    static_cast<void>(loop);
    for (unsigned seen = handshakes; seen < 20; seen = handshakes)
        handshakes.wait(seen);
    std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: %s CERTIFICATE KEY local|global\n", argv[0]);
        return 2;
    }
    try {
        if (std::string_view(argv[3]) == "local") {
            uaio::EngineThread io;
            run(io.engine(), argv[1], argv[2]);
        }
        static uaio::EngineThread io;
        run(io.engine(), argv[1], argv[2]);
    } catch (const std::system_error& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
