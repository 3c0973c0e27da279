// Raw streams and peers that misbehave in every phase, without TLS, in virtual time.
#include "tests/matrix/stream_scene.h"

#include <doctest/doctest.h>

namespace uaio::matrix::stream_test {

using Made = StreamScene::Made;

TEST_CASE("an accepted stream ends every misbehaviour of its peer by the operation's deadline") {
    play_all(stream_phases(false), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return StreamScene(plain_transport(), Made::accepted).play(phase, behaviour, cell);
    });
}

TEST_CASE("easy::Connection ends every misbehaviour of its peer by the operation's deadline") {
    play_all(stream_phases(false), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return StreamScene(plain_transport(), Made::dialled).play(phase, behaviour, cell);
    });
}

}  // namespace uaio::matrix::stream_test
