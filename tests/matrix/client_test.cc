// http::Client and servers that misbehave in every phase, without TLS, in virtual time.
#include "tests/matrix/client_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix::client_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ClientScene(plain_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Client ends every misbehaviour of a server by its documented deadline") {
    play_all(client_phases(false), play);
}

}  // namespace uaio::matrix::client_test
