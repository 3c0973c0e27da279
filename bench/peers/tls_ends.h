// The ends of a TLS connection in OpenSSL alone: the server of every contender, which discards
// everything after the handshake, and the baseline clients. TLS 1.3 with OpenSSL's default ciphers.
// Failures throw std::runtime_error. One thread each.
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

    // Consumes bytes of the client and returns the answer, which is empty after the handshake.
    std::string answer(std::span<const char> sent);

private:
    tls::SslPtr ssl_;
    bool established_ = false;
};

// A server on a socket: one connection, whose ciphertext is dropped inside the kernel.
class TlsSink {
public:
    TlsSink() : handshake_([this] { accept(); }) {}
    ~TlsSink();

    std::uint16_t port() const noexcept { return listening_.port(); }
    // Starts dropping data after the handshake; returns the clock of the thread that drops it.
    clockid_t start();

private:
    void accept();

    const Listening listening_;
    Descriptor accepted_;
    bool failed_ = false;
    std::thread handshake_;
    DiscardingReader reader_;
};

// A client that calls SSL_write(3) repeatedly with the same bytes.
class SslWriter {
public:
    enum class Below {
        nothing,  // output is dropped: the cost of encryption alone, the floor
        memory,   // a BIO_s_mem(3), emptied after each write
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
