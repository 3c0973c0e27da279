#include "tests/differential_curl/tls_line.h"

#include <stdexcept>

namespace uaio {
namespace {

int select_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char*,
                    unsigned, void* selected) {
    const std::string& text = *static_cast<std::string*>(selected);
    *out = reinterpret_cast<const unsigned char*>(text.data());
    *size = static_cast<unsigned char>(text.size());
    return SSL_TLSEXT_ERR_OK;
}

void require(bool good, const char* what) {
    if (!good) throw std::runtime_error(what);
}

tls::BioPtr bio_of(const std::string& text) {
    return tls::BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void show(SSL_CTX* context, const tls::Certificate& own) {
    const tls::BioPtr chain = bio_of(own.chain);
    const tls::BioPtr key = bio_of(own.key);
    const tls::CertificatePtr certificate(
        PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    const tls::KeyPtr secret(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    require(SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
                SSL_CTX_use_PrivateKey(context, secret.get()) == 1,
            "the server cannot use its certificate");
}

}  // namespace

TlsLine::TlsLine(std::unique_ptr<Line> below, const TlsServer& server)
    : below_(std::move(below)), selected_(server.selected) {
    const tls::SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    show(context.get(), server.certificate);
    SSL_CTX_set_max_proto_version(context.get(), server.max_version);
    SSL_CTX_set_num_tickets(context.get(), server.tickets);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    if (server.wants_certificate) {
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           nullptr);
    }
    if (!selected_.empty()) {
        SSL_CTX_set_alpn_select_cb(context.get(), &select_protocol, &selected_);
    }
    ssl_.reset(SSL_new(context.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
}

std::string TlsLine::take_records() {
    char* bytes = nullptr;
    BIO* const out = SSL_get_wbio(ssl_.get());
    const long size = BIO_get_mem_data(out, &bytes);
    if (size <= 0) return {};
    std::string records(bytes, static_cast<std::size_t>(size));
    BIO_reset(out);
    return records;
}

void TlsLine::flush() {
    const std::string records = take_records();
    if (!records.empty()) below_->send(records);
}

bool TlsLine::feed() {
    const std::string more = below_->receive();
    if (more.empty()) return false;
    BIO_write(SSL_get_rbio(ssl_.get()), more.data(), static_cast<int>(more.size()));
    return true;
}

bool TlsLine::shake_hands() {
    for (;;) {
        ERR_clear_error();
        const int done = SSL_do_handshake(ssl_.get());
        const int why = SSL_get_error(ssl_.get(), done);
        flush();
        if (done == 1) return true;
        if (why != SSL_ERROR_WANT_READ || !feed()) return false;
    }
}

std::string TlsLine::receive() {
    for (;;) {
        char buffer[16 * 1024];
        ERR_clear_error();
        const int got = SSL_read(ssl_.get(), buffer, sizeof buffer);
        const int why = SSL_get_error(ssl_.get(), got);
        flush();
        if (got > 0) return std::string(buffer, static_cast<std::size_t>(got));
        if (why != SSL_ERROR_WANT_READ || !feed()) return {};
    }
}

std::string TlsLine::encrypt(std::string_view bytes) {
    flush();
    ERR_clear_error();
    require(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
                static_cast<int>(bytes.size()),
            "the peer could not encrypt");
    return take_records();
}

void TlsLine::send_close_notify() {
    SSL_shutdown(ssl_.get());
    flush();
}

void TlsLine::update_keys() {
    require(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1 &&
                SSL_do_handshake(ssl_.get()) == 1,
            "the peer could not update its keys");
    flush();
}

void TlsLine::begin_renegotiation() {
    require(SSL_renegotiate(ssl_.get()) == 1 && SSL_do_handshake(ssl_.get()) == 1,
            "the peer could not ask for a handshake");
    flush();
}

TlsLine::Renegotiation TlsLine::renegotiate() {
    if (!feed()) return Renegotiation::refused;
    ERR_clear_error();
    char next;
    const int got = SSL_peek(ssl_.get(), &next, 1);  // reads all records without data
    const int why = SSL_get_error(ssl_.get(), got);
    flush();
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_NONE) return Renegotiation::refused;
    return SSL_renegotiate_pending(ssl_.get()) ? Renegotiation::going_on : Renegotiation::done;
}

}  // namespace uaio
