#include "transport/tls/context_core.h"

#include "base/check.h"
#include "base/quoted.h"
#include "transport/tls/failure.h"
#include "transport/tls/server_name.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <span>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

namespace uaio::tls {
namespace {

static_assert(std::tuple_size_v<Pin> == SHA256_DIGEST_LENGTH);

// Messages that a server may send after its handshake: OpenSSL's sends two tickets.
constexpr unsigned kFewestIdleMessages = 8;

int number_of(Version version) noexcept {
    return version == Version::tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

// ex_data indices: an SSL_CTX refers to its core, an SSL to the place of its sessions.
int core_index() noexcept {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}
int place_index() noexcept {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

ContextCore& core_of(const SSL* ssl) noexcept {
    return *static_cast<ContextCore*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), core_index()));
}

// Forward secrecy and AEAD only: TLS 1.2 of Mozilla's "intermediate" configuration
// (https://wiki.mozilla.org/Security/Server_Side_TLS), which all clients since 2014 support. A
// server sets no DHE parameters, so it uses the first six.
constexpr char kDefaultCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

// Requires the peer's certificate to match `server`. False without memory.
bool require_name(SSL* ssl, const ServerName& server) noexcept {
    X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, kNameFlags);
    DCHECK((server.size > 0) != (server.address_size > 0));  // one of them, or no name is verified
    const std::span<const unsigned char> address = server.address();
    if (!address.empty())
        return X509_VERIFY_PARAM_set1_ip(rules, address.data(), address.size()) == 1;
    return X509_VERIFY_PARAM_set1_host(rules, server.text.data(), server.size) == 1;
}

}  // namespace

ContextCore::ContextCore(const ContextOptions& options) : options_(options) {
    initialise_openssl();
    ERR_clear_error();
    context_.reset(SSL_CTX_new(TLS_method()));
    if (!context_) refuse_option("OpenSSL's own configuration");
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_ex_data(context, core_index(), this);
    // Requires 2048 bits of RSA and SHA-256, even if the system's configuration allows less.
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // Makes OpenSSL offer its key; the rest of its own support is unused.
    if (options_.offload && offload().available) SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
    // A write takes at most one record, and may continue from another address. SSL_free_buffers()
    // frees the buffers when a connection is idle, not after each record.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (options_.idle_messages < kFewestIdleMessages) {
        refuse_option("idle_messages is " + std::to_string(options_.idle_messages) +
                      "; it must be at least 8");
    }
    set_versions();
    set_ciphers();
    set_authorities();
    for (const Certificate& certificate : options_.certificates)
        certificates_.push_back(load(certificate));
    if (!certificates_.empty()) {
        const LoadedCertificate& first = certificates_.front();
        if (SSL_CTX_use_cert_and_key(context, first.leaf.get(), first.key.get(), first.chain.get(),
                                     1) != 1) {
            refuse_option(described("the certificate", options_.certificates.front().chain));
        }
    }
    // OpenSSL has the keys now; their text and passwords must not reach a core file or log.
    for (Certificate& certificate : options_.certificates)
        wipe(certificate);
    options_.certificates.clear();
    if (certificates_.size() > 1) SSL_CTX_set_cert_cb(context, &choose_certificate, this);
    set_protocols();
    set_sessions();
    set_pins();
    open_key_log();
}

ContextCore::~ContextCore() {
    if (key_log_ >= 0) ::close(key_log_);
}

void ContextCore::set_versions() {
    if (SSL_CTX_set_min_proto_version(context_.get(), number_of(options_.min_version)) != 1 ||
        SSL_CTX_set_max_proto_version(context_.get(), number_of(options_.max_version)) != 1 ||
        options_.min_version > options_.max_version) {
        refuse_option("min_version and max_version");
    }
}

void ContextCore::set_ciphers() {
    refuse_nul("ciphers", options_.ciphers);
    refuse_nul("cipher_suites", options_.cipher_suites);
    const char* const ciphers =
        options_.ciphers.empty() ? kDefaultCiphers : options_.ciphers.c_str();
    if (SSL_CTX_set_cipher_list(context_.get(), ciphers) != 1) {
        refuse_option("ciphers " + in_quotes(options_.ciphers));
    }
    if (!options_.cipher_suites.empty() &&
        SSL_CTX_set_ciphersuites(context_.get(), options_.cipher_suites.c_str()) != 1) {
        refuse_option("cipher_suites " + in_quotes(options_.cipher_suites));
    }
}

void ContextCore::set_authorities() {
    if (!options_.verify_peer && !options_.require_client_certificate) return;
    if (options_.authorities.empty() && options_.authorities_folder.empty()) {
        SSL_CTX_set1_cert_store(context_.get(), system_authorities());
        return;
    }
    X509_STORE* const store = SSL_CTX_get_cert_store(context_.get());
    if (!options_.authorities.empty()) {
        for (const CertificatePtr& authority : load_authorities(options_.authorities)) {
            if (X509_STORE_add_cert(store, authority.get()) != 1 ||
                SSL_CTX_add_client_CA(context_.get(), authority.get()) != 1) {
                refuse_option("the authorities");
            }
        }
    }
    refuse_nul("authorities_folder", options_.authorities_folder);
    const char* const folder = options_.authorities_folder.c_str();
    if (*folder == '\0') return;
    if (::access(folder, R_OK | X_OK) != 0) {
        throw std::system_error(
            errno, std::system_category(),
            "uaio: tls: authorities_folder " + in_quotes(options_.authorities_folder));
    }
    if (X509_STORE_load_path(store, folder) != 1) refuse_option("authorities_folder");
}

void ContextCore::set_protocols() {
    for (const std::string& protocol : options_.protocols) {
        if (protocol.empty() || protocol.size() > 255) refuse_option("a name in protocols");
        protocols_.push_back(static_cast<char>(protocol.size()));
        protocols_ += protocol;
    }
    if (protocols_.empty()) return;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(protocols_.data());
    // Returns 0 on success, unlike other functions (SSL_CTX_set_alpn_protos(3)).
    if (SSL_CTX_set_alpn_protos(context_.get(), bytes, static_cast<unsigned>(protocols_.size())) !=
        0) {
        refuse_option("protocols");
    }
    SSL_CTX_set_alpn_select_cb(context_.get(), &choose_protocol, this);
}

void ContextCore::set_sessions() {
    SSL_CTX* const context = context_.get();
    if (!options_.resume) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
        return;
    }
    // A server stores no sessions: the clients' tickets hold them. A context does not accept
    // tickets of another (SSL_CTX_set_session_id_context(3)).
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, &keep_session);
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(&self),
                                   sizeof self);
}

void ContextCore::set_pins() {
    constexpr std::string_view kKind = "sha256//";
    for (const std::string& pin : options_.pins) {
        // 44 characters, the last one padding, which OpenSSL decodes as zero: 33 bytes.
        std::array<unsigned char, 33> decoded;
        const std::string text = pin.starts_with(kKind) ? pin.substr(kKind.size()) : "";
        const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
        if (text.size() != 44 || text.back() != '=' ||
            EVP_DecodeBlock(decoded.data(), bytes, 44) != 33) {
            refuse_option("the pin " + in_quotes(pin) + " is not sha256//BASE64");
        }
        std::copy_n(decoded.begin(), 32, pins_.emplace_back().begin());
    }
}

void ContextCore::open_key_log() {
    if (options_.key_log_file.empty()) return;
    refuse_nul("key_log_file", options_.key_log_file);
    // open(2) would create a file of any name, even if a key was passed by mistake.
    const std::string name = in_quotes(options_.key_log_file);
    if (!name.starts_with('"') && options_.key_log_file.size() <= NAME_MAX) {
        refuse_option("key_log_file " + name);
    }
    key_log_ =
        ::open(options_.key_log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (key_log_ < 0) {
        throw std::system_error(errno, std::system_category(), "uaio: tls: key_log_file " + name);
    }
    SSL_CTX_set_keylog_callback(context_.get(), &log_key);
}

// ---- one connection

SslPtr ContextCore::make_server() noexcept {
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) return nullptr;
    SSL_set_accept_state(ssl.get());
    const int required = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl.get(), options_.require_client_certificate ? required : SSL_VERIFY_NONE,
                   nullptr);
    return ssl;
}

SslPtr ContextCore::make_client(const ClientOptions& options, const std::string& session_key,
                                bool& valid) noexcept {
    const bool named = options_.verify_peer && options_.verify_name;
    ServerName server;
    valid = options.server_name.empty() ? !named : parse_server_name(options.server_name, server);
    if (!valid) return nullptr;
    SslPtr ssl(SSL_new(context_.get()));
    if (!ssl) return nullptr;
    SSL_set_connect_state(ssl.get());
    SSL_set_verify(ssl.get(), options_.verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (server.size > 0) {
        // OpenSSL's macro for this is not for C++.
        const long set = SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME,
                                  TLSEXT_NAMETYPE_host_name, server.text.data());
        if (set != 1) return nullptr;
    }
    if (named && !require_name(ssl.get(), server)) return nullptr;
    if (session_key.empty()) return ssl;
    SSL_set_ex_data(ssl.get(), place_index(), const_cast<std::string*>(&session_key));
    if (const SessionPtr session = sessions_.take(session_key)) {
        SSL_set_session(ssl.get(), session.get());
    }
    return ssl;
}

std::error_code ContextCore::check_pins(const SSL* ssl) const noexcept {
    if (pins_.empty()) return {};
    X509* const peer = SSL_get0_peer_certificate(ssl);
    if (!peer) return TlsErrc::certificate_missing;
    unsigned char* encoded = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(peer), &encoded);
    if (size <= 0) return Errc::not_enough_memory;
    Pin pin;
    SHA256(encoded, static_cast<std::size_t>(size), pin.data());
    OPENSSL_free(encoded);
    if (std::ranges::find(pins_, pin) != pins_.end()) return {};
    return TlsErrc::certificate_not_pinned;
}

// ---- OpenSSL's callbacks

// Selects all certificates for the SNI name, so that OpenSSL can choose by key type.
int ContextCore::choose_certificate(SSL* ssl, void* core) noexcept {
    const ContextCore& self = *static_cast<ContextCore*>(core);
    ServerName server;
    if (!SSL_is_server(ssl) || !sent_name(ssl, server)) return 1;
    bool chosen = false;
    for (const LoadedCertificate& certificate : self.certificates_) {
        if (!is_for(certificate, server)) continue;
        if (!chosen) SSL_certs_clear(ssl);
        // Without override, the first certificate of each key type stays.
        const int used = SSL_use_cert_and_key(ssl, certificate.leaf.get(), certificate.key.get(),
                                              certificate.chain.get(), chosen ? 0 : 1);
        if (used != 1 && !chosen) return 0;
        chosen = true;
    }
    ERR_clear_error();
    return 1;
}

int ContextCore::choose_protocol(SSL*, const unsigned char** out, unsigned char* size,
                                 const unsigned char* offered, unsigned offered_size,
                                 void* core) noexcept {
    const std::string& ours = static_cast<ContextCore*>(core)->protocols_;
    unsigned char* chosen = nullptr;
    const int result =
        SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// Returns 1 to take ownership of the session.
int ContextCore::keep_session(SSL* ssl, SSL_SESSION* session) noexcept {
    const auto* const place = static_cast<std::string*>(SSL_get_ex_data(ssl, place_index()));
    if (!place || SSL_is_server(ssl)) return 0;
    core_of(ssl).sessions_.keep(*place, SessionPtr(session));
    return 1;
}

// Uses one write(2) a line: with O_APPEND, lines of several threads and processes stay whole.
void ContextCore::log_key(const SSL* ssl, const char* line) noexcept {
    std::string text;
    try {
        text = std::string(line) + "\n";
    } catch (const std::bad_alloc&) {
        return;
    }
    // A log for diagnosis that cannot be written does not end the connection.
    static_cast<void>(!::write(core_of(ssl).key_log_, text.data(), text.size()));
}

// ---- the handle

Context::Context(const ContextOptions& options) : core_(new ContextCore(options)) {}

Context::Context(const Context& other) noexcept : core_(other.core_) {
    if (core_) core_->retain();
}

Context::~Context() {
    if (core_) core_->release();
}

std::uint64_t Context::resumed() const noexcept { return core_->resumed(); }
std::uint64_t Context::handshakes() const noexcept { return core_->handshakes(); }
std::uint64_t Context::failures() const noexcept { return core_->failures(); }

}  // namespace uaio::tls
