// Dials, and proxies that misbehave in every phase of the dialogue, in virtual time.
#include "tests/matrix/dial_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix::dial_test {

std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    return DialScene(plain_transport()).play(phase, behaviour, cell);
}

TEST_CASE("a dial ends every misbehaviour of a proxy by its timeout") {
    play_all(dial_phases(false), play);
}

}  // namespace uaio::matrix::dial_test
