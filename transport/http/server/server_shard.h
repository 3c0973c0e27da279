// A server's part on one engine: its acceptors and its connections. It goes when its Server is gone
// and its last connection is. If the engine ends first, connections, exchanges and acceptors go
// with it, and this stays, empty, until its Server goes. Engine's thread, but for what says
// otherwise.
#pragma once

#include <uaio/http_server.h>

#include "engine/core.h"
#include "engine/deadline.h"
#include "transport/http/format/date.h"
#include "transport/http/send_allowance.h"
#include "transport/http/server/router.h"
#include "transport/stream/engine_object.h"

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace uaio::http {

class ServerConnection;

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
    // Any thread. Accepts no more and closes what is idle, later on the engine's thread.
    void request_drain() noexcept;
    // The Server is gone: everything closes, and no callback of it runs any more. Frees this when
    // nothing is left.
    void abandon() noexcept;
    // Any thread: the engine has ended, and nothing may be asked of it any more.
    bool outlived_engine() const noexcept { return is_engine_gone(); }

    Engine& engine() noexcept { return engine_; }
    const ServerOptions& options() const noexcept { return options_; }
    const Router& router() const noexcept { return *router_; }
    // For a write of so many bytes.
    std::chrono::nanoseconds send_timeout(std::size_t bytes) const noexcept {
        return send_allowance(options_.send_timeout, bytes);
    }
    // The end of a timeout that begins now; of kNoTimeout there is none.
    Clock::time_point end_of(std::chrono::nanoseconds timeout) const noexcept {
        return deadline_after(engine_.now(), timeout);
    }
    // False once the Server is gone: no handler may be called.
    bool serves() const noexcept { return server_ != nullptr && !ended_; }
    bool draining() const noexcept { return draining_; }
    // Connections wait that cannot be accepted for want of descriptors.
    bool crowded() const noexcept { return crowded_; }
    bool empty() const noexcept { return connections_ == nullptr; }

    // The time of day, for the Date field. A view that is valid until the next call.
    std::string_view date() noexcept;

    // An exchange for a request of this connection; null without memory. Those that were given back
    // last come first, so that few of them are in use, and warm, however many connections there
    // are.
    Exchange* take_exchange(ServerConnection& connection) noexcept;
    void give_back(Exchange& exchange) noexcept;

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
    void tell_empty() noexcept;
    void free_exchanges() noexcept;
    void accept(Accepting& accepting) noexcept;
    void on_accepted(Accepting& accepting) noexcept;
    void on_pause_over() noexcept;
    void accept_all() noexcept;

    Server* server_;
    Engine& engine_;
    const ServerOptions options_;
    const Router* router_;
    std::vector<std::unique_ptr<Accepting>> acceptors_;
    ServerConnection* connections_ = nullptr;
    Exchange* exchanges_ = nullptr;  // not in use
    std::size_t kept_ = 0;
    std::unordered_map<const void*, std::shared_ptr<void>> locals_;
    std::optional<Aio> pause_;  // waits while the acceptors fail
    Mail drain_requested_{*this};
    std::atomic<std::size_t> open_{0};
    std::atomic<std::uint64_t> requests_{0};
    std::int64_t date_second_ = -1;
    DateText date_{};
    bool paused_ = false;
    bool crowded_ = false;  // handlers would be without descriptors if more were accepted
    bool draining_ = false;
    bool abandoned_ = false;  // abandon() is through
    bool told_ = false;       // that it is empty
    bool ended_ = false;      // the engine is ending, or has ended
};

}  // namespace uaio::http
