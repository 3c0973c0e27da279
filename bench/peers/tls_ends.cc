#include "bench/peers/tls_ends.h"

#include "bench/support/tls_identity.h"

#include <array>
#include <stdexcept>

#include <openssl/pem.h>

namespace uaio::bench {
namespace {

using tls::BioPtr;
using tls::CertificatePtr;
using tls::KeyPtr;
using tls::SslContextPtr;
using tls::SslPtr;

void require(bool done, const char* what) {
    if (done) return;
    std::array<char, 256> reason;
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    throw std::runtime_error(std::string(what) + ": " + reason.data());
}

SSL_CTX* client_context() {
    static const SslContextPtr context = [] {
        SslContextPtr made(SSL_CTX_new(TLS_client_method()));
        require(made != nullptr, "SSL_CTX_new");
        return made;
    }();
    return context.get();
}

BioPtr reader_of(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

SSL_CTX* server_context() {
    static const SslContextPtr context = [] {
        SslContextPtr made(SSL_CTX_new(TLS_server_method()));
        const TlsIdentity& identity = tls_identity();
        const CertificatePtr certificate(
            PEM_read_bio_X509(reader_of(identity.certificate).get(), nullptr, nullptr, nullptr));
        const KeyPtr key(
            PEM_read_bio_PrivateKey(reader_of(identity.key).get(), nullptr, nullptr, nullptr));
        require(made && SSL_CTX_use_certificate(made.get(), certificate.get()) == 1 &&
                    SSL_CTX_use_PrivateKey(made.get(), key.get()) == 1,
                "the server's certificate");
        SSL_CTX_set_num_tickets(made.get(), 0);
        return made;
    }();
    return context.get();
}

SslPtr make_end(SSL_CTX* context) {
    SslPtr ssl(SSL_new(context));
    require(ssl != nullptr, "SSL_new");
    return ssl;
}

SslPtr make_end_in_memory(SSL_CTX* context) {
    SslPtr ssl = make_end(context);
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    require(in && out, "BIO_new");
    SSL_set_bio(ssl.get(), in, out);
    return ssl;
}

// Returns and removes the pending output of an end in memory.
std::string take(SSL* ssl) {
    BIO* const bio = SSL_get_wbio(ssl);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string taken(data, static_cast<std::size_t>(size));
    BIO_reset(bio);
    return taken;
}

}  // namespace

TlsServerInMemory::TlsServerInMemory() : ssl_(make_end_in_memory(server_context())) {
    SSL_set_accept_state(ssl_.get());
}

std::string TlsServerInMemory::answer(std::span<const char> sent) {
    if (established_) return {};
    BIO_write(SSL_get_rbio(ssl_.get()), sent.data(), static_cast<int>(sent.size()));
    const int result = SSL_do_handshake(ssl_.get());
    established_ = result == 1;
    require(established_ || SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ,
            "the handshake of the server");
    return take(ssl_.get());
}

TlsSink::~TlsSink() {
    if (handshake_.joinable()) handshake_.join();
}

void TlsSink::accept() {
    accepted_ = listening_.accept();
    const SslPtr ssl = make_end(server_context());
    SSL_set_fd(ssl.get(), accepted_.get());
    failed_ = SSL_accept(ssl.get()) != 1;
}

clockid_t TlsSink::start() {
    handshake_.join();
    if (failed_) throw std::runtime_error("SSL_accept");
    reader_.start(std::move(accepted_));
    return reader_.clock();
}

SslWriter::SslWriter(Below below) : ssl_(make_end_in_memory(client_context())) {
    TlsServerInMemory server;
    SSL_set_connect_state(ssl_.get());
    while (SSL_do_handshake(ssl_.get()) != 1) {
        const std::string sent = take(ssl_.get());
        require(!sent.empty(), "the handshake of the client");
        const std::string answer = server.answer(sent);
        BIO_write(SSL_get_rbio(ssl_.get()), answer.data(), static_cast<int>(answer.size()));
    }
    server.answer(take(ssl_.get()));
    if (below == Below::memory) {
        memory_ = SSL_get_wbio(ssl_.get());
    } else {
        SSL_set0_wbio(ssl_.get(), BIO_new(BIO_s_null()));
    }
}

SslWriter::SslWriter(std::uint16_t port)
    : ssl_(make_end(client_context())), socket_(connect_to(port)) {
    SSL_set_fd(ssl_.get(), socket_.get());
    require(SSL_connect(ssl_.get()) == 1, "SSL_connect");
}

void SslWriter::run(Meter& meter, std::span<const char> bytes) {
    do {
        const int written = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        require(written == static_cast<int>(bytes.size()), "SSL_write");
        if (memory_) BIO_reset(memory_);
    } while (meter.count());
}

}  // namespace uaio::bench
