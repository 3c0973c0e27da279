// Who the servers of the tls benchmarks are: a key on P-256 and a certificate for localhost that it
// has signed itself, made once in a process. Failures throw std::runtime_error. Any thread.
#pragma once

#include <string>

namespace uaio::bench {

struct TlsIdentity {
    std::string certificate;  // in PEM, as is the key
    std::string key;
};

const TlsIdentity& tls_identity();

}  // namespace uaio::bench
