// The engine's side of an http::Client: its connections, and the requests that wait for one. It is
// freed after its Client is destroyed and its last connection closed. Engine's thread unless stated
// otherwise.
#pragma once

#include <uaio/http_client.h>

#include "engine/call_on_engine.h"
#include "engine/core.h"
#include "engine/statistics.h"
#include "transport/http/client/client_origin.h"
#include "transport/stream/engine_object.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace uaio::http {

class ClientConnection;
class ClientCore;

// One transact() in progress.
struct Transaction {
    Request* request = nullptr;
    Response* response = nullptr;
    Aio* aio = nullptr;
    ClientConnection* connection = nullptr;  // carries it; null while it waits
    Transaction* next = nullptr;             // in the list of waiting transactions
    unsigned redirects = 0;                  // redirects followed
    bool again = false;                      // a retry: it was sent before, on a kept connection
};

class ClientCore final : public EngineObject {
public:
    // Any thread.
    ClientCore(Engine& engine, Connector& connector, const ClientOptions& options) noexcept;

    // Streams end the operations in progress; no new one begins.
    void begin_shutdown() noexcept override;

    // A starter; the argument is the Transaction.
    static void start(Aio& aio) noexcept;
    // Any thread: the Client uses another core, and this one never joined the engine.
    void discard() noexcept { delete this; }
    // Any thread, once: the Client uses this core.
    void join_engine() noexcept { enroll(); }
    // Any thread, once, when the Client is destroyed. On another thread than the engine's, returns
    // when the last connection has closed.
    void release_and_wait() noexcept;

    Connector& connector() noexcept { return connector_; }
    const ClientOptions& options() const noexcept { return options_; }
    const ClientOrigin& origin() const noexcept { return origin_; }
    // The number of kernel entries.
    std::uint64_t enters() const noexcept { return core().counters().enters.value(); }
    bool abandoned() const noexcept { return abandoned_; }

    // Any thread: returns a new transaction, null if out of memory.
    Transaction* make_transaction() noexcept;
    // Assigns the transaction to a connection, or queues it.
    void carry(Transaction& transaction) noexcept;
    void finish(Transaction& transaction, std::error_code error) noexcept;
    // Called when a connection becomes idle.
    void carry_waiting() noexcept;
    void left(ClientConnection& connection) noexcept;

    // Any thread.
    ClientStatistics statistics() const noexcept;
    struct {
        Counter connections, reuses, retries, discarded;
    } counters;

private:
    friend class ClientConnection;

    // The destructor of a Client waits for this call on another thread; it allocates nothing.
    struct Departure;

    ~ClientCore() override;
    void close_here() noexcept override;
    bool finished() const noexcept override { return abandoned_; }
    bool busy() const noexcept override { return connections_ || waiting_; }
    void on_engine_destroyed(bool) noexcept override {}
    // Closes if no thread runs the engine, since then no operation has started. Otherwise returns
    // false without effect.
    bool close_unbound() noexcept;
    static void on_cancel(Aio& aio) noexcept;
    bool has_transactions() const noexcept;
    // Returns the usable connection that became idle last, after closing unusable ones.
    ClientConnection* find_usable() noexcept;
    void wait(Transaction& transaction) noexcept;

    Connector& connector_;
    const ClientOptions options_;
    ClientOrigin origin_;
    ClientConnection* connections_ = nullptr;  // all
    ClientConnection* resting_ = nullptr;      // the idle ones; the one that became idle last first
    std::size_t open_ = 0;
    Transaction* waiting_ = nullptr;
    Transaction** waiting_end_ = &waiting_;
    Transaction* spare_ = nullptr;  // ended, for later ones
    std::size_t spares_ = 0;        // their number
    bool engine_ends_ = false;
    bool abandoned_ = false;
    Departure* departure_ = nullptr;
};

}  // namespace uaio::http
