#include "tests/support/tls/authority.h"

#include "transport/tls/openssl.h"

#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

namespace uaio {
namespace {

using tls::BioPtr;
using tls::CertificatePtr;
using tls::KeyPtr;

KeyPtr make_key(TestKey kind) {
    KeyPtr key(kind == TestKey::p256 ? EVP_EC_gen("P-256")
                                     : EVP_RSA_gen(kind == TestKey::rsa2048 ? 2048u : 1024u));
    REQUIRE(key);
    return key;
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_X509(bio.get(), certificate) == 1);
    return text_of(bio.get());
}

std::string pem_of(EVP_PKEY* key, const std::string& password) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    const EVP_CIPHER* const cipher = password.empty() ? nullptr : EVP_aes_128_cbc();
    const auto* const bytes = reinterpret_cast<const unsigned char*>(password.data());
    REQUIRE(PEM_write_bio_PrivateKey(bio.get(), key, cipher, bytes,
                                     static_cast<int>(password.size()), nullptr, nullptr) == 1);
    return text_of(bio.get());
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    REQUIRE(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

std::string joined(const std::vector<std::string>& parts) {
    std::string all;
    for (const std::string& part : parts)
        all += (all.empty() ? "" : ",") + part;
    return all;
}

// Signed by `issuer`, or self-signed.
CertificatePtr make_certificate(const TestSubject& subject, EVP_PKEY* key, X509* issuer,
                                EVP_PKEY* issuer_key) {
    static long serial = 1000;
    CertificatePtr made(X509_new());
    X509* const certificate = made.get();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    constexpr long kDay = 24 * 60 * 60;
    X509_gmtime_adj(X509_getm_notBefore(certificate), subject.from_days * kDay);
    X509_gmtime_adj(X509_getm_notAfter(certificate), subject.to_days * kDay);
    const auto* const name = reinterpret_cast<const unsigned char*>(subject.name.c_str());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name, -1,
                               -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate));
    X509_set_pubkey(certificate, key);
    X509* const above = issuer ? issuer : certificate;
    add_extension(certificate, above, NID_basic_constraints,
                  subject.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(certificate, above, NID_subject_key_identifier, "hash");
    add_extension(certificate, above, NID_key_usage,
                  subject.authority ? "critical,keyCertSign,cRLSign" : "digitalSignature");
    if (!subject.authority) {
        add_extension(certificate, above, NID_ext_key_usage, subject.usage);
        add_extension(certificate, above, NID_subject_alt_name, joined(subject.names));
    }
    const EVP_MD* const digest = subject.sha1 ? EVP_sha1() : EVP_sha256();
    REQUIRE(X509_sign(certificate, issuer_key ? issuer_key : key, digest) > 0);
    return made;
}

}  // namespace

struct TestAuthority::Parts {
    KeyPtr key;
    CertificatePtr certificate;
};

TestAuthority::TestAuthority(const std::string& name) : parts_(new Parts) {
    parts_->key = make_key(TestKey::p256);
    TestSubject subject{.name = name, .names = {}};
    subject.authority = true;
    parts_->certificate = make_certificate(subject, parts_->key.get(), nullptr, nullptr);
    pem_ = pem_of(parts_->certificate.get());
}

TestAuthority::~TestAuthority() { delete parts_; }

tls::Certificate TestAuthority::issue(const TestSubject& subject,
                                      const std::string& password) const {
    const KeyPtr key = make_key(subject.key);
    const CertificatePtr certificate =
        make_certificate(subject, key.get(), parts_->certificate.get(), parts_->key.get());
    return {pem_of(certificate.get()), pem_of(key.get(), password), password};
}

tls::Certificate TestAuthority::self_signed(const TestSubject& subject) {
    const KeyPtr key = make_key(subject.key);
    const CertificatePtr certificate = make_certificate(subject, key.get(), nullptr, nullptr);
    return {pem_of(certificate.get()), pem_of(key.get(), {}), {}};
}

std::string TestAuthority::pin_of(const std::string& certificate) {
    const BioPtr bio(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
    const CertificatePtr parsed(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    REQUIRE(parsed);
    unsigned char* encoded = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(parsed.get()), &encoded);
    unsigned char digest[32];
    SHA256(encoded, static_cast<std::size_t>(size), digest);
    OPENSSL_free(encoded);
    unsigned char base64[64];
    EVP_EncodeBlock(base64, digest, sizeof digest);
    return std::string("sha256//") + reinterpret_cast<char*>(base64);
}

const TestAuthority& test_authority() {
    static const TestAuthority authority;
    return authority;
}

const tls::Certificate& test_certificate() {
    static const tls::Certificate certificate = test_authority().issue();
    return certificate;
}

}  // namespace uaio
