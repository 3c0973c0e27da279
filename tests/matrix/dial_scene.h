// The matrix with a dial of easy::Connection under test, and SOCKS and HTTP proxies, or the target
// itself, that misbehave. For one thread.
#pragma once

#include <uaio/easy.h>

#include "tests/matrix/scene.h"
#include "tests/support/connection_fixture.h"

#include <memory>
#include <string>
#include <vector>

namespace uaio::matrix {

// With a proxy over plain TCP, and one over TLS; and the handshakes, with that proxy and through
// the tunnel with the target.
const std::vector<Phase>& dial_phases(bool tls);
const std::vector<Phase>& dial_handshake_phases();
// DialOptions::timeout.
inline constexpr nanoseconds kDial = 30500ms;

class DialScene {
public:
    explicit DialScene(const Transport& transport);
    ~DialScene();

    // Runs one cell; returns the oracle's findings, or nothing.
    std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell);

private:
    void accept(SimPeer& socket);
    easy::Options options_for(const Phase& phase) const;
    bool lead(const Phase& phase, Behaviour behaviour);
    std::string judge(const Cell& cell, Operation& dial);
    std::string dial_once();

    Scene scene_;
    SimListener& proxy_;   // misbehaves
    SimListener& target_;  // for dials without a proxy
    std::unique_ptr<easy::Connection> connection_;
    std::unique_ptr<ScriptedPeer> victim_;
    std::unique_ptr<ScriptedPeer> good_;
    bool held_ = false;
    std::size_t reads_ = std::string::npos;
};

}  // namespace uaio::matrix
