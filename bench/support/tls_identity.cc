#include "bench/support/tls_identity.h"

#include "transport/tls/openssl.h"

#include <stdexcept>

#include <openssl/ec.h>
#include <openssl/pem.h>

namespace uaio::bench {
namespace {

using tls::BioPtr;
using tls::CertificatePtr;
using tls::KeyPtr;

void require(bool made) {
    if (!made) throw std::runtime_error("OpenSSL could not create a key and a certificate");
}

CertificatePtr sign(EVP_PKEY* key) {
    CertificatePtr made(X509_new());
    X509* const certificate = made.get();
    require(certificate != nullptr);
    constexpr long kWeek = 7 * 24 * 60 * 60;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), kWeek);
    const auto* const name = reinterpret_cast<const unsigned char*>("localhost");
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name, -1,
                               -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    require(X509_sign(certificate, key, EVP_sha256()) > 0);
    return made;
}

template <class Write>
std::string pem_of(Write write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    require(bio && write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

TlsIdentity make() {
    const KeyPtr key(EVP_EC_gen("P-256"));
    require(key != nullptr);
    const CertificatePtr certificate = sign(key.get());
    return {pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
            pem_of([&](BIO* bio) {
                return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr,
                                                nullptr);
            })};
}

}  // namespace

const TlsIdentity& tls_identity() {
    static const TlsIdentity identity = make();
    return identity;
}

}  // namespace uaio::bench
