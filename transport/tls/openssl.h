// Owning pointers to OpenSSL's objects, its initialisation, and its error queue. Any thread.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace uaio::tls {

template <auto kFree>
struct FreedBy {
    template <class T>
    void operator()(T* object) const noexcept {
        kFree(object);
    }
};

// Must run before any other OpenSSL call of this library, and may be repeated. Registers no
// atexit(3) function, which would free OpenSSL's tables under the engines' threads.
inline void initialise_openssl() noexcept {
    static const int done = OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
    static_cast<void>(done);
}

inline void free_chain(STACK_OF(X509) * chain) noexcept { sk_X509_pop_free(chain, &X509_free); }

// Empties this thread's error queue, as SSL_get_error(3) requires before a call on an SSL. Checks
// first: it is usually empty, and clearing an empty queue costs as much as a small write.
inline void clear_errors() noexcept {
    if (ERR_peek_error() != 0) [[unlikely]]
        ERR_clear_error();
}

using BioPtr = std::unique_ptr<BIO, FreedBy<&BIO_free>>;
using SslPtr = std::unique_ptr<SSL, FreedBy<&SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreedBy<&SSL_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, FreedBy<&X509_free>>;
using ChainPtr = std::unique_ptr<STACK_OF(X509), FreedBy<&free_chain>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreedBy<&EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, FreedBy<&X509_STORE_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, FreedBy<&SSL_SESSION_free>>;

}  // namespace uaio::tls
