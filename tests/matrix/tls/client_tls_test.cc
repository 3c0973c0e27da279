// http::Client and servers that misbehave in every phase, over TLS, in virtual time.
#include "tests/matrix/client_scene.h"
#include "tests/matrix/tls/scripted_tls_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix::client_tls_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ClientScene(tls_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Client ends every misbehaviour of a TLS server by its documented deadline") {
    play_all(client_handshake_phases(), play);
    play_all(client_phases(true), play);
}

}  // namespace uaio::matrix::client_tls_test
