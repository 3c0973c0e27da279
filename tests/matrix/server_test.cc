// http::Server and clients that misbehave in every phase, without TLS, in virtual time.
#include "tests/matrix/server_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix::server_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ServerScene(plain_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Server ends every misbehaviour of a client by its documented deadline") {
    play_all(server_phases(), play);
}

TEST_CASE("http::Server drains past every misbehaviour of a client by its documented deadlines") {
    play_all(server_phases(), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return ServerScene(plain_transport())
            .play_drained(phase, behaviour, drained(phase, behaviour, cell));
    });
}

TEST_CASE("http::Server ends a client that stops reading at any byte of a response") {
    stop_everywhere(plain_transport());
}

}  // namespace uaio::matrix::server_test
