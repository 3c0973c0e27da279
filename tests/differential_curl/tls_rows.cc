#include "tests/differential_curl/tls_scene.h"

namespace uaio {

std::vector<Rows> tls_rows() {
    return {tls_transfer_rows(), tls_end_rows(),   tls_key_rows(),       tls_blocked_rows(),
            tls_trust_rows(),    tls_proxy_rows(), tls_handshake_rows(), challenge_rows()};
}

}  // namespace uaio
