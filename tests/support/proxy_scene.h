// A simulated network with scripted proxies: a SimPeer serves each connection to their ports. For
// one thread.
#pragma once

#include <uaio/dialer.h>
#include <uaio/sim.h>

#include "tests/support/connection_fixture.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace uaio {

// The answers of a proxy, by the whole text received on a connection so far. No match, no answer;
// "close" after an answer ends the connection.
struct ProxyScript {
    struct Line {
        std::string request;
        std::string answer;
        bool close = false;
    };
    std::vector<Line> lines;
    bool echoes = true;  // after the last line
};

class ProxyScene {
public:
    explicit ProxyScene(std::uint64_t seed = 3, const Faults& faults = {});

    // A proxy on this port. All its connections follow the same script, or one chosen by the number
    // of the connection, from 0.
    void serve(std::uint16_t port, ProxyScript script);
    void serve(std::uint16_t port, std::function<ProxyScript(std::size_t connection)> script);
    // The same on the path of a unix socket.
    void serve(std::string_view path, ProxyScript script);

    // Dials and waits. On success `stream` holds the stream.
    Ended dial(const std::string& target, const DialOptions& options);
    // Writes, and reads back the echo from behind the proxy, preceded by `early`.
    bool echoes(const std::string& early = "");
    // Ends everything; false if any resource is left.
    bool is_clean();

    SimKernel kernel;
    Engine engine;
    StreamPtr stream;
    DialReport report;
    std::vector<SimPeer*> peers;  // in accept order

private:
    void serve_at(SimListener& listener, std::function<ProxyScript(std::size_t connection)> script);
};

// No environment, no name server: resolves names by these rules alone.
DialOptions quiet_options(const std::string& proxy = "");

}  // namespace uaio
