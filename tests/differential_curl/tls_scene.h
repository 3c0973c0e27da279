// Shared by the rows over TLS.
#pragma once

#include "tests/differential_curl/row.h"
#include "tests/differential_curl/tls_line.h"

namespace uaio {

// Connects to a peer with this server's settings, which the driver trusts unless the row has its
// own settings. Returns the peer's end, also after a failed handshake.
inline std::unique_ptr<TlsLine> connect_tls(Scene& at, const TlsServer& server = {}) {
    if (at.setup.tls.authorities.empty()) {
        at.setup.tls.authorities = test_authority().certificate();
    }
    return at.connect_to("https://" + at.place(), [&server](Scene& scene) {
        auto line = std::make_unique<TlsLine>(scene.accept_line(), server);
        line->shake_hands();
        return line;
    });
}

// tls_connect_rows.cc
Rows tls_trust_rows();
Rows tls_handshake_rows();
// tls_transfer_rows.cc
Rows tls_transfer_rows();
Rows tls_end_rows();
Rows tls_key_rows();
// tls_blocked_rows.cc
Rows tls_blocked_rows();
// tls_proxy_rows.cc
Rows tls_proxy_rows();

}  // namespace uaio
