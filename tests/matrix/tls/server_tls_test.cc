// http::Server and clients that misbehave in every phase, over TLS, in virtual time.
#include "tests/matrix/server_scene.h"
#include "tests/matrix/tls/scripted_tls_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix::server_tls_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ServerScene(tls_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Server ends every misbehaviour of a TLS client by its documented deadline") {
    play_all(server_handshake_phases(), play);
    play_all(server_phases(), play);
}

TEST_CASE(
    "http::Server over TLS drains past every misbehaviour of a client by its documented "
    "deadlines") {
    play_all(server_phases(), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return ServerScene(tls_transport())
            .play_drained(phase, behaviour, drained(phase, behaviour, cell));
    });
}

TEST_CASE("http::Server over TLS ends a client that stops reading at any byte of a response") {
    stop_everywhere(tls_transport());
}

}  // namespace uaio::matrix::server_tls_test
