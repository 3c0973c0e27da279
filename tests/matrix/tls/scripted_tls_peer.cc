#include "tests/matrix/tls/scripted_tls_peer.h"

#include <uaio/tls.h>

#include "tests/support/tls/ends.h"

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace uaio::matrix {
namespace {

SSL_CTX* make_context(Transport::Side side) {
    SSL_CTX* const context =
        SSL_CTX_new(side == Transport::Side::client ? TLS_client_method() : TLS_server_method());
    REQUIRE(context);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (side == Transport::Side::client) return context;
    const tls::Certificate& own = test_certificate();
    const tls::BioPtr chain(BIO_new_mem_buf(own.chain.data(), static_cast<int>(own.chain.size())));
    const tls::BioPtr key(BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size())));
    const tls::CertificatePtr certificate(
        PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    const tls::KeyPtr private_key(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    REQUIRE(SSL_CTX_use_certificate(context, certificate.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context, private_key.get()) == 1);
    return context;
}

// One for all peers of a side; OpenSSL's exit frees nothing of it.
SSL_CTX* context_of(Transport::Side side) {
    static SSL_CTX* const client = make_context(Transport::Side::client);
    static SSL_CTX* const server = make_context(Transport::Side::server);
    return side == Transport::Side::client ? client : server;
}

}  // namespace

ScriptedTlsPeer::ScriptedTlsPeer(SimPeer& socket, Transport::Side side, bool held)
    : ScriptedPeer(socket),
      ssl_(SSL_new(context_of(side))),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())),
      held_(held) {
    REQUIRE(ssl_);
    SSL_set_bio(ssl_, in_, out_);
    side == Transport::Side::client ? SSL_set_connect_state(ssl_) : SSL_set_accept_state(ssl_);
    move();
}

ScriptedTlsPeer::~ScriptedTlsPeer() { SSL_free(ssl_); }

void ScriptedTlsPeer::send(std::string_view text) {
    unsaid_.append(text);
    move();
}

void ScriptedTlsPeer::shutdown_write() {
    move();
    static_cast<void>(SSL_shutdown(ssl_));
    flush();
    socket().shutdown_write();
}

std::string ScriptedTlsPeer::flight() {
    move();
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    return {data, static_cast<std::size_t>(size)};
}

void ScriptedTlsPeer::move() {
    const std::string& received = socket().received();
    if (taken_ < received.size()) {
        const std::size_t more = received.size() - taken_;
        REQUIRE(BIO_write(in_, received.data() + taken_, static_cast<int>(more)) ==
                static_cast<int>(more));
        taken_ = received.size();
    }
    if (!is_ready()) static_cast<void>(SSL_do_handshake(ssl_));
    if (is_ready()) {
        char block[4096];
        for (int got = 1; got > 0;) {
            got = SSL_read(ssl_, block, sizeof block);
            if (got > 0) received_.append(block, static_cast<std::size_t>(got));
        }
        const int size = static_cast<int>(unsaid_.size());
        if (size > 0 && SSL_write(ssl_, unsaid_.data(), size) == size) unsaid_.clear();
    }
    ERR_clear_error();
    flush();
}

void ScriptedTlsPeer::flush() {
    if (held_) return;
    char block[4096];
    for (int got = 1; got > 0;) {
        got = BIO_read(out_, block, sizeof block);
        if (got > 0) socket().send({block, static_cast<std::size_t>(got)});
    }
}

Transport tls_transport() {
    return {
        .tls = true,
        .context = tls::Context(client_options()),
        .peer = [](SimPeer& socket, Transport::Side side,
                   bool held) { return std::make_unique<ScriptedTlsPeer>(socket, side, held); },
        .acceptor =
            [](AcceptorFactory below) {
                return tls::acceptor(std::move(below), tls::Context(server_options()));
            },
        .connector = [](Connector& below) -> std::unique_ptr<Connector> {
            return std::make_unique<tls::Connector>(below, tls::Context(client_options()),
                                                    to_localhost());
        },
    };
}

}  // namespace uaio::matrix
