// A server's part on one engine: its acceptors and its connections. It is freed after its Server is
// destroyed and its last connection closed. If the engine ends first, its connections, exchanges
// and acceptors are freed with the engine, and the empty shard remains until its Server is
// destroyed. Engine's thread unless stated otherwise.
#pragma once

#include <uaio/http_server.h>

#include "engine/core.h"
#include "engine/deadline.h"
#include "transport/http/format/date.h"
#include "transport/http/send_allowance.h"
#include "transport/http/server/route_cache.h"
#include "transport/http/server/router.h"
#include "transport/stream/engine_object.h"

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace uaio::http {

class ServerConnection;
struct ServerSession;

class ServerShard final : public EngineObject {
public:
    // Any thread.
    ServerShard(Server& server, Engine& engine, const ServerOptions& options, const Router& router);

    void begin_shutdown() noexcept override {
        ended_ = true;
    }  // sockets and listeners end by themselves
    bool is_idle() const noexcept override;

    // Throws std::logic_error if the engine has stopped.
    void require_running();
    void add(std::unique_ptr<Acceptor> acceptor);
    // Any thread. Later, on the engine's thread, stops accepting and closes idle connections.
    void request_drain() noexcept;
    // Called when the Server is destroyed: closes everything; no callback of the Server runs any
    // more. Frees this object when it is idle.
    void abandon() noexcept;
    // Any thread: calls abandon() on the engine's thread and returns when it is done.
    void abandon_and_wait() noexcept;

    Engine& engine() noexcept { return engine_; }
    const ServerOptions& options() const noexcept { return options_; }
    const Router& router() const noexcept { return *router_; }
    RouteCache& last_route() noexcept { return last_route_; }
    // The timeout of a write of `bytes` bytes.
    std::chrono::nanoseconds send_timeout(std::size_t bytes) const noexcept {
        return send_allowance(options_.send_timeout, bytes);
    }
    // The end of a timeout that begins now; kNoTimeout has none.
    Clock::time_point end_of(std::chrono::nanoseconds timeout) const noexcept {
        return deadline_after(engine_.now(), timeout);
    }
    // False once the Server is destroyed: no handler may be called.
    bool serves() const noexcept { return server_ != nullptr && !ended_; }
    bool draining() const noexcept { return draining_; }
    // Connections are waiting, but accepting them would exhaust the descriptors.
    bool crowded() const noexcept { return crowded_; }
    bool empty() const noexcept { return connections_ == nullptr; }

    // The current time for the Date field. The view is valid until the next call.
    std::string_view date() noexcept;
    // The second that date() returned last.
    std::int64_t date_second() const noexcept { return date_second_; }

    // Takes an exchange for a request of this connection; null if out of memory. Exchanges released
    // last are reused first, so that few are in use, and warm in the cache, however many
    // connections exist.
    Exchange* take_exchange(ServerConnection& connection) noexcept;
    void give_back(Exchange& exchange) noexcept;

    // Lends a session to `connection`, for `stream`; null if out of memory.
    ServerSession* lend_session(ServerConnection& connection, Stream& stream) noexcept;
    // Takes it back. False if it cannot serve another connection, whose Connection then keeps its
    // Session.
    bool give_back(ServerSession& lent) noexcept;

    // See Exchange::per_engine().
    std::shared_ptr<void>& local(const void* key);

    void left(ServerConnection& connection) noexcept;
    void answered() noexcept {
        requests_.store(requests_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }

    // Any thread.
    std::size_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
    std::uint64_t requests() const noexcept { return requests_.load(std::memory_order_relaxed); }

private:
    struct Accepting;

    ~ServerShard() override;
    void close_here() noexcept override;
    bool finished() const noexcept override { return abandoned_; }
    bool busy() const noexcept override;
    void on_engine_destroyed(bool idle) noexcept override;
    bool accepting() const noexcept;
    void drain() noexcept;
    void notify_empty() noexcept;
    void free_exchanges() noexcept;
    void free_sessions() noexcept;
    void accept(Accepting& accepting) noexcept;
    void on_accepted(Accepting& accepting) noexcept;
    void on_pause_over() noexcept;
    void accept_all() noexcept;
    // Closes the acceptors if no thread runs the engine, which then does not call the Server.
    // Otherwise returns false without effect.
    bool close_unbound() noexcept;

    Server* server_;
    Engine& engine_;
    const ServerOptions options_;
    const Router* router_;
    RouteCache last_route_;
    std::vector<std::unique_ptr<Accepting>> acceptors_;
    ServerConnection* connections_ = nullptr;
    Exchange* exchanges_ = nullptr;      // free
    std::size_t kept_ = 0;               // bytes that they hold
    ServerSession* sessions_ = nullptr;  // free
    std::size_t free_sessions_ = 0;
    std::unordered_map<const void*, std::shared_ptr<void>> locals_;
    std::optional<Aio> pause_;  // delays accepting after a failure
    Mail drain_requested_{*this};
    std::atomic<std::size_t> open_{0};
    std::atomic<std::uint64_t> requests_{0};
    std::int64_t date_second_ = -1;
    DateText date_{};
    bool paused_ = false;
    bool crowded_ = false;  // accepting more would exhaust the handlers' descriptors
    bool draining_ = false;
    bool abandoned_ = false;  // abandon() is complete
    bool notified_ = false;   // the Server has been notified
    bool ended_ = false;      // the engine is ending, or has ended
};

}  // namespace uaio::http
