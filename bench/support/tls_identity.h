// The identity of the servers in the TLS benchmarks: a key on P-256 and a self-signed certificate
// for localhost, made once in a process. Failures throw std::runtime_error. Any thread.
#pragma once

#include <string>

namespace uaio::bench {

struct TlsIdentity {
    std::string certificate;  // in PEM, as is the key
    std::string key;
};

const TlsIdentity& tls_identity();

}  // namespace uaio::bench
