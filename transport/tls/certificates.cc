#include "transport/tls/certificates.h"

#include <uaio/argument_error.h>

#include "base/quoted.h"
#include "transport/tls/failure.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace uaio::tls {
namespace {

// Finds the first PEM block of a text; npos for a file name. Other text may precede it (RFC 7468
// 2), such as the "Bag Attributes" of openssl-pkcs12(1).
std::size_t find_block(const std::string& pem) noexcept { return pem.find("-----BEGIN "); }

bool is_text(const std::string& pem) noexcept { return find_block(pem) != std::string::npos; }

// Null if the file cannot be opened; the error queue has the reason.
BioPtr open(const std::string& what, const std::string& pem) {
    ERR_clear_error();
    if (!is_text(pem)) refuse_nul(what, pem);
    // OpenSSL requires a boundary at the start of a line.
    const std::string_view text =
        is_text(pem) ? std::string_view(pem).substr(find_block(pem)) : std::string_view();
    return BioPtr(is_text(pem) ? BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))
                               : BIO_new_file(pem.c_str(), "re"));
}

struct Password {
    const std::string& text;
    bool was_asked = false;
};

// Never prompts at the terminal, as OpenSSL's default does.
int copy_password(char* out, int room, int, void* password) noexcept {
    auto& [text, was_asked] = *static_cast<Password*>(password);
    was_asked = true;
    if (text.empty() || text.size() > static_cast<std::size_t>(room)) return -1;
    text.copy(out, text.size());
    return static_cast<int>(text.size());
}

CertificatePtr read_certificate(BIO* bio) noexcept {
    return CertificatePtr(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}

// True if a sequence of certificates ended without an error.
bool reached_end() noexcept {
    const unsigned long error = ERR_peek_last_error();
    const bool ended =
        ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (ended) ERR_clear_error();
    return ended;
}

// `key` names the key in messages, which never quote Certificate::key: even if it does not parse,
// it may be a key or a password.
KeyPtr load_key(const Certificate& certificate, const std::string& key) {
    const BioPtr bio = open(key, certificate.key);
    if (!bio) refuse_option(key + " is neither PEM text nor the name of a file");
    Password password{certificate.password};
    KeyPtr loaded(PEM_read_bio_PrivateKey(bio.get(), nullptr, &copy_password, &password));
    if (!loaded && password.was_asked && certificate.password.empty()) {
        ERR_clear_error();
        throw std::system_error(ArgumentErrc::invalid_option,
                                "uaio: tls: " + key +
                                    " is encrypted, and Certificate::password is empty; "
                                    "`openssl pkey -in FILE -out FILE` decrypts a key");
    }
    if (!loaded && password.was_asked) refuse_option(key + " (check its password)");
    if (!loaded) refuse_option(key + " is not a private key in PEM");
    return loaded;
}

}  // namespace

LoadedCertificate load(const Certificate& certificate) {
    LoadedCertificate loaded;
    const std::string chain = described("the certificate", certificate.chain);
    const BioPtr bio = open("the certificate", certificate.chain);
    if (!bio) refuse_option(chain);
    loaded.leaf.reset(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
    if (!loaded.leaf) refuse_option(chain);
    loaded.chain.reset(sk_X509_new_null());
    if (!loaded.chain) throw std::bad_alloc();
    while (CertificatePtr next = read_certificate(bio.get())) {
        if (sk_X509_push(loaded.chain.get(), next.get()) == 0) throw std::bad_alloc();
        static_cast<void>(next.release());
    }
    if (!reached_end()) refuse_option(chain);
    loaded.key = load_key(certificate, "the key of " + chain);
    if (X509_check_private_key(loaded.leaf.get(), loaded.key.get()) != 1) {
        refuse_option("the key of " + chain + " does not belong to it");
    }
    return loaded;
}

bool is_for(const LoadedCertificate& certificate, const ServerName& server) noexcept {
    return X509_check_host(certificate.leaf.get(), server.text.data(), server.size, kNameFlags,
                           nullptr) == 1;
}

bool sent_name(const SSL* ssl, ServerName& out) noexcept {
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return name && parse_server_name(name, out) && out.size > 0;
}

std::string described(const std::string& what, const std::string& pem) {
    return what + (is_text(pem) ? " given as text" : " " + in_quotes(pem));
}

void wipe(Certificate& certificate) noexcept {
    OPENSSL_cleanse(certificate.key.data(), certificate.key.size());
    OPENSSL_cleanse(certificate.password.data(), certificate.password.size());
}

std::vector<CertificatePtr> load_authorities(const std::string& pem) {
    std::vector<CertificatePtr> loaded;
    const BioPtr bio = open("the authorities", pem);
    if (!bio) refuse_option(described("the authorities", pem));
    while (CertificatePtr next = read_certificate(bio.get()))
        loaded.push_back(std::move(next));
    if (!reached_end() || loaded.empty()) refuse_option(described("the authorities", pem));
    return loaded;
}

X509_STORE* system_authorities() {
    // Never freed: engines may verify during exit(3).
    static X509_STORE* const store = [] {
        ERR_clear_error();
        StorePtr made(X509_STORE_new());
        if (!made || X509_STORE_set_default_paths(made.get()) != 1) {
            refuse_option("the authorities of the system");
        }
        ERR_clear_error();  // a missing file or folder is no error
        return made.release();
    }();
    return store;
}

}  // namespace uaio::tls
