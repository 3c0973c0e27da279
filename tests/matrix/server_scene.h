// The matrix with an http::Server under test and clients that misbehave. For one thread.
#pragma once

#include <uaio/http.h>

#include "tests/matrix/scene.h"
#include "tests/support/temporary_folder.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace uaio::matrix {

// The phases common to all transports, and those of a TLS handshake.
const std::vector<Phase>& server_phases();
const std::vector<Phase>& server_handshake_phases();
// Sizes of the server's responses.
inline constexpr std::size_t kSmall = 100;
inline constexpr std::size_t kBig = 1 << 20;
inline constexpr std::size_t kFile = 200 << 10;

// The request for a target; and a client that stops reading its response after `reads` bytes.
std::string get(const std::string& target);
Phase response_phase(const char* name, const char* target, std::size_t reads, nanoseconds ends,
                     int seen);
// The result in place of `cell` if the server is drained when the misbehaviour begins.
Cell drained(const Phase& phase, Behaviour behaviour, const Cell& cell);
// Stops reading at each byte of a short response, and at some of long ones.
void stop_everywhere(const Transport& transport);

class ServerScene {
public:
    explicit ServerScene(const Transport& transport, http::ServerOptions options = {});
    ~ServerScene();

    // Runs one cell; returns the oracle's findings, or nothing.
    std::string play(const Phase& phase, Behaviour behaviour, const Cell& cell);
    // The same with a drain() that begins with the misbehaviour.
    std::string play_drained(const Phase& phase, Behaviour behaviour, const Cell& cell);
    // Bytes on the wire of the response for this target.
    std::size_t size_of(const std::string& target);

private:
    class Streamer;

    void serve();
    // A client that sends a request every five seconds, each answered at once.
    void begin_other();
    std::string judge_other() const;
    bool send_lead(const Phase& phase, Behaviour behaviour);
    std::string judge(const Cell& cell, nanoseconds taken);
    std::string judge_counts() const;
    std::string finish();

    const TemporaryFolder folder_;
    Scene scene_;
    std::optional<http::Server> server_;
    std::unique_ptr<ScriptedPeer> other_;
    std::unique_ptr<ScriptedPeer> victim_;
    std::uint16_t port_ = 0;
    std::size_t asked_ = 0;
    std::size_t late_ = 0;       // late answers to the other client
    std::uint64_t written_ = 0;  // to the victim, by the access log
    bool counted_ = true;        // the access log has all of it
    std::vector<http::Exchange*> unanswered_;
};

// The last status in the bytes that a client received; 0 if none.
int last_status(const std::string& received);

}  // namespace uaio::matrix
