// The matrix with an http::Client under test and servers that misbehave. For one thread.
#pragma once

#include <uaio/http_client.h>
#include <uaio/tcp.h>

#include "tests/matrix/scene.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace uaio::matrix {

// The deadline of the transaction that meets the misbehaviour.
inline constexpr nanoseconds kDeadline = 39500ms;

const std::vector<Phase>& client_phases(bool tls);
const std::vector<Phase>& client_handshake_phases();

class ClientScene {
public:
    explicit ClientScene(const Transport& transport);
    ~ClientScene();

    // Runs one cell; returns the oracle's findings, or nothing.
    std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell);

private:
    struct Transaction;

    void accept(SimPeer& socket);
    void serve(ScriptedPeer& peer);
    bool lead(const Phase& phase, Behaviour behaviour);
    bool carry_first();
    bool block_connects(Behaviour behaviour);
    std::string judge(const Phase& phase, const Cell& cell);
    std::string judge_good(const char* which, Transaction& good);
    std::string finish();

    Scene scene_;
    SimListener& listener_;
    tcp::Connector below_;
    std::unique_ptr<Connector> connector_;
    std::optional<http::Client> client_;
    std::vector<std::unique_ptr<ScriptedPeer>> good_;
    std::unique_ptr<ScriptedPeer> victim_;
    std::unique_ptr<Transaction> first_;  // the earlier transaction on the victim's connection
    std::unique_ptr<Transaction> asked_;
    bool victim_next_ = false;  // the next connection is the victim's
    bool held_ = false;         // and its handshake is held back
    bool victim_answers_ = false;
    std::size_t reads_ = std::string::npos;  // of a handshake
};

}  // namespace uaio::matrix
