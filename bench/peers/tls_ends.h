// The ends of a tls connection as OpenSSL alone makes them: the server that every contender talks
// to, which throws away what comes after the handshake, and the clients that the library is
// measured against. TLS 1.3 with OpenSSL's own choice of ciphers. Failures throw
// std::runtime_error. One thread each.
#pragma once

#include "bench/support/loopback.h"
#include "bench/support/meter.h"
#include "transport/tls/openssl.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>

namespace uaio::bench {

// A server in memory.
class TlsServerInMemory {
public:
    TlsServerInMemory();

    // Takes what a client has sent; the answer to it is returned, and empty after the handshake.
    std::string answer(std::span<const char> sent);

private:
    tls::SslPtr ssl_;
    bool established_ = false;
};

// A server behind a socket: one connection, whose ciphertext is dropped inside the kernel.
class TlsSink {
public:
    TlsSink() : handshake_([this] { accept(); }) {}
    ~TlsSink();

    std::uint16_t port() const noexcept { return listening_.port(); }
    // Starts to drop what comes, once the handshake is done; the clock of the thread that does.
    clockid_t start();

private:
    void accept();

    const Listening listening_;
    Descriptor accepted_;
    bool failed_ = false;
    std::thread handshake_;
    DiscardingReader reader_;
};

// A client that calls SSL_write(3) again and again with the same bytes.
class SslWriter {
public:
    enum class Below {
        nothing,  // what OpenSSL writes is dropped: what it costs to encrypt, and the floor
        memory,   // a BIO_s_mem(3), which is emptied after each write
    };
    explicit SslWriter(Below below);
    // A blocking socket.
    explicit SslWriter(std::uint16_t port);

    void run(Meter& meter, std::span<const char> bytes);

private:
    tls::SslPtr ssl_;
    Descriptor socket_;
    BIO* memory_ = nullptr;
};

}  // namespace uaio::bench
