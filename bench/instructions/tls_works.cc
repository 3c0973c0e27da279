// The works over TLS: echoes of 64 bytes, and handshakes with one request of HTTP, full or resumed.
// The floor is OpenSSL alone on the same sockets.
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "bench/instructions/echo_server.h"
#include "bench/instructions/http_server.h"
#include "bench/instructions/peer_sockets.h"
#include "bench/instructions/ring_engine.h"
#include "bench/instructions/works.h"
#include "bench/support/tls_identity.h"
#include "transport/tls/openssl.h"

#include <sys/socket.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/pem.h>

namespace uaio::bench {
namespace {

using tls::BioPtr;
using tls::CertificatePtr;
using tls::KeyPtr;
using tls::SessionPtr;
using tls::SslContextPtr;
using tls::SslPtr;

constexpr std::string_view kContent = "hello, world\n";
constexpr std::string_view kRequest = "GET /fixed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello, world\n";

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(what);
}

tls::Context server_settings() {
    tls::ContextOptions options;
    options.certificates = {{.chain = tls_identity().certificate, .key = tls_identity().key}};
    return tls::Context(options);
}

BioPtr reader_of(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

SslContextPtr server_context() {
    SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    const TlsIdentity& identity = tls_identity();
    const CertificatePtr certificate(
        PEM_read_bio_X509(reader_of(identity.certificate).get(), nullptr, nullptr, nullptr));
    const KeyPtr key(
        PEM_read_bio_PrivateKey(reader_of(identity.key).get(), nullptr, nullptr, nullptr));
    require(context && SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1,
            "the server's certificate");
    return context;
}

SslContextPtr client_context() {
    SslContextPtr context(SSL_CTX_new(TLS_client_method()));
    require(context != nullptr, "SSL_CTX_new");
    SSL_CTX_set_session_cache_mode(context.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return context;
}

// A connection of OpenSSL alone, on a blocking socket.
class TlsSocket {
public:
    TlsSocket(SSL_CTX* context, Descriptor socket)
        : socket_(std::move(socket)), ssl_(SSL_new(context)) {
        require(ssl_ && SSL_set_fd(ssl_.get(), socket_.get()) == 1, "SSL_new");
    }

    void accept() { require(SSL_accept(ssl_.get()) == 1, "SSL_accept"); }
    // Resumes `session`, unless it is null.
    void connect(SSL_SESSION* session) {
        if (session) SSL_set_session(ssl_.get(), session);
        require(SSL_connect(ssl_.get()) == 1, "SSL_connect");
        require(SSL_session_reused(ssl_.get()) == (session ? 1 : 0), "a session of another kind");
    }
    void send(std::string_view bytes) {
        require(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
                    static_cast<int>(bytes.size()),
                "SSL_write");
    }
    // Receives one record, or the end: returns its bytes.
    std::size_t receive() {
        std::array<char, 4096> dropped;
        const int count = SSL_read(ssl_.get(), dropped.data(), static_cast<int>(dropped.size()));
        require(count > 0 || SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN, "SSL_read");
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    // Sends the closing alert, without waiting for the peer's.
    void finish() { SSL_shutdown(ssl_.get()); }
    SessionPtr session() { return SessionPtr(SSL_get1_session(ssl_.get())); }

private:
    Descriptor socket_;
    SslPtr ssl_;
};

std::string_view text_of(const Message& message) { return {message.data(), message.size()}; }

void make_handshakes(Control& control, std::uint64_t count, bool resume) {
    const SslContextPtr context = client_context();
    const std::uint16_t port = control.receive_port();
    control.signal();
    SessionPtr session;
    for (; count > 0; --count) {
        TlsSocket connection(context.get(), connect_to(port));
        connection.connect(resume ? session.get() : nullptr);
        connection.send(kRequest);
        require(connection.receive() > 0, "no response");
        session = connection.session();
        connection.finish();
    }
}

}  // namespace

void tls_echo(Control& control, std::uint64_t count) {
    Engine engine(on_io_uring());
    auto below = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    const std::uint16_t port = below->local_endpoint().port();
    tls::Listener listener(engine, std::move(below), server_settings());
    control.send_port(port);
    EchoServer(engine, accept_all(engine, listener)).run(control, count);
}

void tls_echo_floor(Control& control, std::uint64_t count) {
    const Message message{};
    const SslContextPtr context = server_context();
    const Listening listening;
    control.send_port(listening.port());
    std::vector<std::unique_ptr<TlsSocket>> connections;
    for (std::uint64_t i = 0; i < kConnections; ++i) {
        connections.push_back(std::make_unique<TlsSocket>(context.get(), listening.accept()));
        connections.back()->accept();
    }
    Batches batches(control, kConnections, count);
    control.wait();
    for (bool more = true; more;) {
        for (const std::unique_ptr<TlsSocket>& connection : connections) {
            require(connection->receive() == sizeof(Message), "a message in pieces");
            connection->send(text_of(message));
            more = batches.count();
        }
    }
}

void tls_echo_peer(Control& control, std::uint64_t count) {
    const Message message{};
    const SslContextPtr context = client_context();
    const std::uint16_t port = control.receive_port();
    std::vector<std::unique_ptr<TlsSocket>> connections;
    for (std::uint64_t i = 0; i < kConnections; ++i) {
        connections.push_back(std::make_unique<TlsSocket>(context.get(), connect_to(port)));
        connections.back()->connect(nullptr);
    }
    for (; count > 0; count -= kConnections) {
        for (const std::unique_ptr<TlsSocket>& connection : connections)
            connection->send(text_of(message));
        control.signal();
        for (const std::unique_ptr<TlsSocket>& connection : connections)
            require(connection->receive() == sizeof(Message), "a message in pieces");
        if (count > kConnections) control.wait();
    }
}

// The client makes one connection after another, so that all are one batch.
void tls_handshake(Control& control, std::uint64_t count) {
    CountingServer server(control, count, count);
    server.handle("/fixed", http::fixed_content(std::string(kContent), "text/plain"));
    server.run(
        [](AcceptorFactory below) { return tls::acceptor(std::move(below), server_settings()); });
}

void tls_handshake_floor(Control& control, std::uint64_t count) {
    const SslContextPtr context = server_context();
    const Listening listening;
    control.send_port(listening.port());
    control.wait();
    for (; count > 0; --count) {
        TlsSocket connection(context.get(), listening.accept());
        connection.accept();
        require(connection.receive() == kRequest.size(), "a request in pieces");
        connection.send(kResponse);
        require(connection.receive() == 0, "more than one request");
        connection.finish();
    }
}

void tls_handshake_peer(Control& control, std::uint64_t count) {
    make_handshakes(control, count, false);
}

void tls_resumed_peer(Control& control, std::uint64_t count) {
    make_handshakes(control, count, true);
}

}  // namespace uaio::bench
