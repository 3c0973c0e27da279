// Loads certificates and keys in PEM, from files or text, and the system's trusted authorities. Any
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

// A local certificate with its key and its intermediate certificates.
struct LoadedCertificate {
    CertificatePtr leaf;
    KeyPtr key;
    ChainPtr chain;
};

// Throws std::system_error that names the certificate's file and the defect of certificate or key.
LoadedCertificate load(const Certificate& certificate);

// For X509_check_host(3): RFC 9525 6.3 matches names against subjectAltName only, never the common
// name, and lets a wildcard stand only for a whole label.
inline constexpr unsigned kNameFlags =
    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

// True if the certificate matches the name, wildcards included.
bool is_for(const LoadedCertificate& certificate, const ServerName& server) noexcept;

// Gets the SNI name that the client sent. False if it sent none, or one that RFC 6066 3 forbids: an
// address, or no DNS name.
bool sent_name(const SSL* ssl, ServerName& out) noexcept;

// Returns `what` with the name of its file, for messages. Not for Certificate::key.
std::string described(const std::string& what, const std::string& pem);

// Overwrites the key and the password.
void wipe(Certificate& certificate) noexcept;

// Loads all certificates of a file or text. Throws like load(), also if there are none.
std::vector<CertificatePtr> load_authorities(const std::string& pem);

// Returns the system's trusted authorities, read at the first call. Throws std::system_error.
X509_STORE* system_authorities();

}  // namespace uaio::tls
