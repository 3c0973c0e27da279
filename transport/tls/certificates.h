// Certificates and keys in PEM, from files or from text, and the authorities of the system. Any
// thread.
#pragma once

#include <uaio/tls_context.h>

#include "transport/tls/openssl.h"
#include "transport/tls/server_name.h"

#include <string>
#include <string_view>
#include <vector>

#include <openssl/x509v3.h>

namespace uaio::tls {

// A certificate of this side, with its key and those between it and its authority.
struct LoadedCertificate {
    CertificatePtr leaf;
    KeyPtr key;
    ChainPtr chain;
};

// Throws std::system_error that names the file of the certificate, and says what is wrong with it
// or with its key.
LoadedCertificate load(const Certificate& certificate);

// X509_check_host(3): RFC 9525 6.3 has names proved by subjectAltName alone, never by a common
// name, and a wildcard stand for a whole label.
inline constexpr unsigned kNameFlags =
    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

// True if it is for that name, wildcards included.
bool is_for(const LoadedCertificate& certificate, const ServerName& server) noexcept;

// The name in SNI that a server's peer has sent. False if there is none, or one that RFC 6066 3
// does not allow: an address, or no DNS name.
bool sent_name(const SSL* ssl, ServerName& out) noexcept;

// For messages: `what`, and which file that is of. Not for Certificate::key.
std::string described(const std::string& what, const std::string& pem);

// Overwrites the key and the password.
void wipe(Certificate& certificate) noexcept;

// All certificates of a file or text. Throws as load() does, also if there is none.
std::vector<CertificatePtr> load_authorities(const std::string& pem);

// The authorities that the system trusts, read at the first call. Throws std::system_error.
X509_STORE* system_authorities();

}  // namespace uaio::tls
