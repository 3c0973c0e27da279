// Dials over TLS, and https proxies and targets that misbehave in every phase, in virtual time.
#include "tests/matrix/dial_scene.h"
#include "tests/matrix/tls/scripted_tls_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix::dial_tls_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return DialScene(tls_transport()).play(phase, behaviour, cell);
}

TEST_CASE("a dial over TLS ends every misbehaviour of a proxy or a target by its timeout") {
    play_all(dial_handshake_phases(), play);
    play_all(dial_phases(true), play);
}

}  // namespace uaio::matrix::dial_tls_test
