// Prints the memory that an idle connection of a server holds: bytes of the heap, with those that
// malloc(3) adds, and of resident memory; and the sizes of the objects that a connection has, or is
// lent. The clients are another process.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "bench/support/loopback.h"
#include "transport/http/server/server_connection.h"
#include "transport/socket/stream.h"
#if UAIO_BENCH_TLS
#include "bench/support/tls_identity.h"
#include "transport/tls/channel.h"

#include <openssl/ssl.h>
#endif

#include <malloc.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::bench {
namespace {

constexpr std::size_t kConnections = 800;
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(what);
}

struct Taken {
    double heap;
    double resident;
};

Taken taken() {
    const struct mallinfo2 info = ::mallinfo2();
    std::size_t pages = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return {static_cast<double>(info.uordblks + info.hblkhd),
            static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))};
}

// ---- the clients' process

enum class Kind { silent, plain, tls };

void exchange_plainly(int fd) {
    require(::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) > 0, "send");
    char response[4096];
    require(::recv(fd, response, sizeof response, 0) > 0, "recv");
}

#if UAIO_BENCH_TLS
void exchange_over_tls(SSL_CTX* context, int fd) {
    SSL* const ssl = SSL_new(context);  // until the process ends
    require(ssl && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1, "SSL_connect");
    require(SSL_write(ssl, kRequest.data(), static_cast<int>(kRequest.size())) > 0, "SSL_write");
    char response[4096];
    require(SSL_read(ssl, response, sizeof response) > 0, "SSL_read");
}
#endif

// Makes the connections, one after the other, and keeps them until `hold` ends.
void run_clients(Kind kind, std::uint16_t port, std::size_t count, int hold) {
    std::vector<Descriptor> connections;
#if UAIO_BENCH_TLS
    SSL_CTX* const context = kind == Kind::tls ? SSL_CTX_new(TLS_client_method()) : nullptr;
#endif
    for (std::size_t i = 0; i < count; ++i) {
        connections.push_back(connect_to(port));
        if (kind == Kind::plain) exchange_plainly(connections.back().get());
#if UAIO_BENCH_TLS
        if (kind == Kind::tls) exchange_over_tls(context, connections.back().get());
#endif
    }
    char byte;
    require(::read(hold, &byte, 1) == 0, "read");
}

// A process with clients; its end closes their connections.
class Clients {
public:
    Clients(Kind kind, std::uint16_t port, std::size_t count) {
        require(::pipe(hold_) == 0, "pipe");
        process_ = ::fork();
        require(process_ >= 0, "fork");
        if (process_ > 0) return;
        ::close(hold_[1]);
        int status = 0;
        try {
            run_clients(kind, port, count, hold_[0]);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "memory: a client: %s\n", error.what());
            status = 1;
        }
        ::_exit(status);
    }
    ~Clients() {
        ::close(hold_[0]);
        ::close(hold_[1]);
        ::waitpid(process_, nullptr, 0);
    }

private:
    int hold_[2];
    pid_t process_ = -1;
};

// ---- the server

void measure(const char* name, Kind kind) {
    Engine engine;
    http::Server server(engine);
    server.handle("", "/", http::fixed_content("hello", "text/plain"));
    Endpoint endpoint;
    server.listen([&](Engine& on) -> std::unique_ptr<Acceptor> {
        auto listener = std::make_unique<tcp::Listener>(on, Endpoint::loopback(0));
        endpoint = listener->local_endpoint();
#if UAIO_BENCH_TLS
        if (kind == Kind::tls) {
            tls::ContextOptions options;
            options.certificates = {
                {.chain = tls_identity().certificate, .key = tls_identity().key}};
            return std::make_unique<tls::Listener>(on, std::move(listener), tls::Context(options));
        }
#endif
        return listener;
    });
    // The first connection makes what all share.
    const Clients first(kind, endpoint.port(), 1);
    const auto run_until_idle = [&](std::size_t connections) {
        const std::uint64_t requests = kind == Kind::silent ? 0 : connections;
        while (server.connections() < connections || server.requests() < requests)
            engine.run_once(std::chrono::seconds(1));
        for (int turn = 0; turn < 100; ++turn)
            engine.run_once(std::chrono::milliseconds(1));
    };
    run_until_idle(1);
    const Taken before = taken();
    const Clients others(kind, endpoint.port(), kConnections);
    run_until_idle(kConnections + 1);
    const Taken after = taken();
    std::printf("%-44s %8.0f %10.0f\n", name, (after.heap - before.heap) / kConnections,
                (after.resident - before.resident) / kConnections);
}

void print_size(const char* name, std::size_t bytes) { std::printf("%-44s %8zu\n", name, bytes); }

int run() {
    std::printf("%-44s %8s %10s\n", "a connection of a server", "heap", "resident");
    measure("HTTP, no request yet", Kind::silent);
    measure("HTTP, between requests", Kind::plain);
#if UAIO_BENCH_TLS
    measure("HTTP over TLS, between requests", Kind::tls);
#endif
    std::printf("\n%-44s %8s\n", "object", "bytes");
    print_size("Socket, with the stream that refers to it", sizeof(Socket));
    print_size("http::ServerConnection", sizeof(http::ServerConnection));
    print_size("  with a request: http::ServerSession", sizeof(http::ServerSession));
    print_size("  with a request: http::Session", sizeof(http::Session));
    print_size("  with a request: http::Exchange", sizeof(http::Exchange));
#if UAIO_BENCH_TLS
    print_size("tls::Channel", sizeof(tls::Channel));
#endif
    print_size("Aio, with its timer", sizeof(Aio));
    return 0;
}

}  // namespace
}  // namespace uaio::bench

int main() {
    try {
        return uaio::bench::run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "memory: %s\n", error.what());
        return 1;
    }
}
