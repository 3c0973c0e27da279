// Both ends of a tls connection, over pipes in memory, on an engine that the test runs in simulated
// time. For one thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/sim.h>
#include <uaio/tls.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/pipe.h"
#include "tests/support/tls/authority.h"
#include "tests/support/turns.h"

#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace uaio {

// A client that trusts the test authority, and a server with its certificate.
tls::ContextOptions client_options(tls::Version max = tls::Version::tls_1_3);
tls::ContextOptions server_options(tls::Version max = tls::Version::tls_1_3);
inline tls::ClientOptions to_localhost() { return {.server_name = "localhost", .session_key = {}}; }

class TlsEnds {
public:
    TlsEnds(const tls::Context& client, const tls::Context& server);
    explicit TlsEnds(tls::Version version = tls::Version::tls_1_3);

    Engine& engine() { return engine_; }
    SimKernel& kernel() { return kernel_; }
    Pipe& to_server() { return to_server_; }
    Pipe& to_client() { return to_client_; }
    Stream& client() { return *client_; }
    Stream& server() { return *server_; }
    StreamPtr& client_handle() { return client_; }
    StreamPtr& server_handle() { return server_; }

    // Begins both handshakes, and runs the engine until both have ended.
    void shake_hands(const tls::ClientOptions& options = to_localhost());
    void begin(const tls::ClientOptions& options = to_localhost());
    // The streams below the two; begin() makes them itself.
    StreamPtr client_below() {
        return std::make_unique<PipeStream>(engine_, to_client_, to_server_);
    }
    StreamPtr server_below() {
        return std::make_unique<PipeStream>(engine_, to_server_, to_client_);
    }
    // How the two handshakes ended.
    Ended client_ended() const { return connecting_.ended(); }
    Ended server_ended() const { return accepting_.ended(); }
    Operation& connecting() { return connecting_; }
    Operation& accepting() { return accepting_; }
    // Both handshakes; fails the test unless they succeed.
    TlsEnds& joined();

    bool run_until(const std::function<bool()>& done) { return uaio::run_until(engine_, done); }
    void run_some() { uaio::run_some(engine_); }

    // One call, run to its end.
    Ended write_all(Stream& stream, std::string_view bytes);
    Ended read(Stream& stream, std::string& into);
    Ended read_all(Stream& stream, std::string& into);

private:
    SimKernel kernel_{1};
    Engine engine_{kernel_};
    Pipe to_server_;
    Pipe to_client_;
    tls::Context client_context_;
    tls::Context server_context_;
    Operation connecting_{engine_};
    Operation accepting_{engine_};
    StreamPtr client_;
    StreamPtr server_;
};

}  // namespace uaio
