// http::Server and clients that misbehave in every phase, without TLS, in virtual time.
#include "tests/matrix/server_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return ServerScene(plain_transport()).play(phase, behaviour, cell);
}

TEST_CASE("http::Server ends every misbehaviour of a client by its documented deadline") {
    play_all(server_phases(), play);
}

}  // namespace
}  // namespace uaio::matrix
