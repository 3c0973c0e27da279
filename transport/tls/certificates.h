// Certificates and keys in PEM, from files or from text, and the authorities of the system. Any
// thread.
#pragma once

#include <uaio/tls_context.h>

#include "transport/tls/openssl.h"

#include <string>
#include <string_view>
#include <vector>

namespace uaio::tls {

// A certificate of this side, with its key and those between it and its authority.
struct LoadedCertificate {
    CertificatePtr leaf;
    KeyPtr key;
    ChainPtr chain;
};

// Throws std::system_error that names the file, or says what is wrong with it.
LoadedCertificate load(const Certificate& certificate);

// True if it is for that name (RFC 9525), wildcards included.
bool is_for(const LoadedCertificate& certificate, const char* name) noexcept;

// All certificates of a file or text. Throws as load() does, also if there is none.
std::vector<CertificatePtr> load_authorities(const std::string& pem);

// The authorities that the system trusts, read at the first call. Throws std::system_error.
X509_STORE* system_authorities();

}  // namespace uaio::tls
