// Raw streams and peers that misbehave in every phase, over TLS, in virtual time.
#include "tests/matrix/stream_scene.h"
#include "tests/matrix/tls/scripted_tls_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix::stream_tls_test {

using Made = StreamScene::Made;

TEST_CASE(
    "an accepted TLS stream ends every misbehaviour of its peer by the operation's deadline") {
    play_all(stream_phases(true), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return StreamScene(tls_transport(), Made::accepted).play(phase, behaviour, cell);
    });
}

TEST_CASE("easy::Connection ends every misbehaviour of its TLS peer by the operation's deadline") {
    play_all(stream_phases(true), [](const Phase& phase, Behaviour behaviour, const Cell& cell) {
        return StreamScene(tls_transport(), Made::dialled).play(phase, behaviour, cell);
    });
}

}  // namespace uaio::matrix::stream_tls_test
