// http::Server and clients that misbehave in every phase, over TLS, in virtual time.
#include "tests/matrix/server_scene.h"
#include "tests/matrix/tls/scripted_tls_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ServerScene(tls_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Server ends every misbehaviour of a TLS client by its documented deadline") {
    play_all(server_handshake_phases(), play);
    play_all(server_phases(), play);
}

}  // namespace
}  // namespace uaio::matrix
