// A simulated network with proxies on it, written as scripts: whoever connects to a port is asked
// and answered by a SimPeer. For one thread.
#pragma once

#include <uaio/dialer.h>
#include <uaio/sim.h>

#include "tests/support/wire.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace uaio {

// What a proxy says when it has heard so much on a connection: the whole text it has received is
// looked up. Nothing where nothing is found; "close" after an answer ends the connection.
struct ProxyScript {
    struct Line {
        std::string heard;
        std::string answer;
        bool close = false;
    };
    std::vector<Line> lines;
    bool echoes = true;  // behind the last line's text
};

class ProxyScene {
public:
    explicit ProxyScene(std::uint64_t seed = 3, const Faults& faults = {});

    // A proxy on this port. All its connections follow the same script; the number of the
    // connection, from 0, may choose another one.
    void serve(std::uint16_t port, ProxyScript script);
    void serve(std::uint16_t port, std::function<ProxyScript(std::size_t connection)> script);
    // The same on the path of a unix socket.
    void serve(std::string_view path, ProxyScript script);

    // Dials and waits. A stream is in `stream` then, if it went well.
    Ended dial(const std::string& target, const DialOptions& options);
    // Writes and reads back what an echo behind the proxy returns, behind `early`.
    bool echoes(const std::string& early = "");
    // Ends everything and tells whether something is left.
    bool is_clean();

    SimKernel kernel;
    Engine engine;
    StreamPtr stream;
    DialReport report;
    std::vector<SimPeer*> peers;  // in the order in which they were accepted

private:
    void serve_at(SimListener& listener, std::function<ProxyScript(std::size_t connection)> script);
};

// No environment, no name server: names by these rules alone.
DialOptions quiet_options(const std::string& proxy = "");

}  // namespace uaio
