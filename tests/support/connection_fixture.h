// A connection under test: an engine that this thread runs, an http::Connection on it, and a peer
// at the other end, joined by real sockets on loopback, or by those of a simulated kernel. Buffers
// are small unless requested otherwise, so that kBlocking bytes never fit. For one thread.
#pragma once

#include <uaio/engine.h>
#include <uaio/http.h>

#include "tests/support/far_end.h"
#include "tests/support/kernels.h"

#include <atomic>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uaio {

// How an operation ended, and how often its callback ran.
struct Ended {
    unsigned calls = 0;
    std::error_code error;
    std::size_t count = 0;

    bool operator==(const Ended&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Ended& ended);

// Its callback ran exactly once.
inline Ended success(std::size_t count) { return {1, {}, count}; }
inline Ended failure(std::error_code error, std::size_t count = 0) { return {1, error, count}; }
inline const Ended kPending{};

// An Aio that records each run of its callback.
class Operation {
public:
    explicit Operation(Engine& engine)
        : aio(engine, [this](Aio& done) {
              ended_.error = done.result();
              ended_.count = done.count();
              calls_.fetch_add(1, std::memory_order_release);
          }) {}
    // With one buffer: `bytes`, which must outlive the operation.
    Operation(Engine& engine, std::string_view bytes) : Operation(engine) {
        aio.set_iov(bytes.data(), bytes.size());
    }

    // Any thread.
    bool done() const { return calls_.load(std::memory_order_acquire) > 0; }
    // The results that the callbacks read; kPending before the first.
    Ended ended() const {
        Ended result;
        result.calls = calls_.load(std::memory_order_acquire);
        if (result.calls == 0) return result;
        result.error = ended_.error;
        result.count = ended_.count;
        return result;
    }
    void forget() { calls_ = 0; }

private:
    Ended ended_;
    std::atomic<unsigned> calls_{0};

public:
    Aio aio;
};

struct ConnectionFixtureOptions {
    bool large_buffers = false;  // the system's default
    bool unix_socket = false;
    StreamOptions stream = {};
    EngineOptions engine = {};
    http::ConnectionOptions http = {};
};

class ConnectionFixture {
public:
    // More than the buffers of the two sockets hold, so that a write of it stays in flight.
    static constexpr std::size_t kBlocking = 1 << 20;
    static constexpr std::size_t kBlockingLarge = 16 << 20;  // with large buffers

    explicit ConnectionFixture(KernelKind kind, const ConnectionFixtureOptions& options = {});

    Engine& engine() noexcept { return *engine_; }
    http::Connection& connection() noexcept { return *connection_; }
    FarEnd& peer() noexcept { return *peer_; }
    void drop_connection() { connection_.reset(); }

    // Runs the engine until `done`; false after kPatience.
    bool run_until(const std::function<bool()>& done);
    bool run_until_done(const Operation& operation) {
        return run_until([&] { return operation.done(); });
    }
    // Until the peer has bytes and the sockets accept no more.
    bool run_until_blocked();
    // A few turns; completes everything ready. For checks that something does not happen.
    void run_some();

    // Runs the engine while the peer reads, until it has `total` bytes or the stream ended.
    const std::string& receive(std::size_t total);
    // The same to the end of the stream.
    const std::string& receive_to_end() { return receive(RawPeer::kEverything); }

    // How a write_all of four bytes ends.
    Ended follow_up();

private:
    void connect_simulated(const ConnectionFixtureOptions& options);
    void connect_real(KernelKind kind, const ConnectionFixtureOptions& options);
    bool blocked();

    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
    std::optional<http::Connection> connection_;
    std::optional<FarEnd> peer_;
};

// Splits `bytes` into `entries` entries of about the same length.
std::vector<iovec> entries_of(std::string_view bytes, std::size_t entries);

// A name in the abstract namespace of unix sockets, unique to the test.
std::string fresh_abstract_name();

}  // namespace uaio
