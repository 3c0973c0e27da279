#include "transport/http/server/server_shard.h"

#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/call_on_engine.h"
#include "transport/http/server/server_connection.h"
#include "transport/http/server/server_session.h"
#include "transport/stream/starters.h"

#include <algorithm>
#include <ctime>
#include <new>
#include <stdexcept>
#include <utility>

namespace uaio::http {
namespace {

// The delay before a server accepts again after its acceptor failed, unless one of its connections
// ends earlier.
constexpr std::chrono::milliseconds kPause{100};

// Limits of the memory of exchanges kept for later requests: of each, and of all. A limit of their
// number would be too low for connections that pipeline: their small exchanges are needed at once.
constexpr std::size_t kKeptOfEach = 64 * 1024;
constexpr std::size_t kKeptOfAll = 16 * 1024 * 1024;

// Limit of the number of sessions kept for later requests, of about 2 KiB each.
constexpr std::size_t kKeptSessions = 1024;

}  // namespace

struct ServerShard::Accepting {
    Accepting(ServerShard& shard, std::unique_ptr<Acceptor> from)
        : acceptor(std::move(from)), aio(shard.engine_, [this, &shard](Aio&) {
              waiting = false;
              shard.on_accepted(*this);
          }) {}

    std::unique_ptr<Acceptor> acceptor;
    StreamPtr stream;
    bool waiting = false;
    bool over = false;  // nothing can be accepted
    Aio aio;
};

ServerShard::ServerShard(Server& server, Engine& engine, const ServerOptions& options,
                         const Router& router)
    : EngineObject(EngineCore::of(engine)),
      server_(&server),
      engine_(engine),
      options_(options),
      router_(&router),
      pause_(std::in_place, engine, [this](Aio&) { on_pause_over(); }) {
    pause_->set_timeout(kPause);
    enroll();
}

ServerShard::~ServerShard() {
    free_exchanges();
    free_sessions();
}

void ServerShard::free_exchanges() noexcept {
    while (Exchange* const exchange = exchanges_) {
        exchanges_ = exchange->next_;
        kept_ -= exchange->kept_;
        delete exchange;
    }
    DCHECK(kept_ == 0);
}

void ServerShard::free_sessions() noexcept {
    while (ServerSession* const session = sessions_) {
        sessions_ = session->next;
        --free_sessions_;
        delete session;
    }
    DCHECK(free_sessions_ == 0);
}

ServerSession* ServerShard::lend_session(ServerConnection& connection, Stream& stream) noexcept {
    DCHECK(core().on_thread());
    if (!kHttp || ended_) return nullptr;
    ServerSession* lent = sessions_;
    if (lent) {
        sessions_ = lent->next;
        --free_sessions_;
        lent->session->attach(stream);
    } else {
        lent = new (std::nothrow) ServerSession(*this);
        if (!lent) return nullptr;
        lent->session = new (std::nothrow) Session(core(), stream,
                                                   {.limits = options_.limits,
                                                    .head_timeout = options_.head_timeout,
                                                    .send_timeout = options_.send_timeout});
        if (!lent->session) {
            delete lent;
            return nullptr;
        }
        lent->session->set_server(options_.idle_timeout, options_.content_timeout);
    }
    lent->connection = &connection;
    return lent;
}

bool ServerShard::give_back(ServerSession& lent) noexcept {
    DCHECK(lent.connection && !lent.connection->pending_with_session());
    const bool usable = lent.session && !ended_ && !abandoned_ && !core().is_forked() &&
                        lent.session->is_idle() && free_sessions_ < kKeptSessions;
    if (!usable) {
        lent.connection = nullptr;
        lent.session = nullptr;
        delete &lent;
        return false;
    }
    lent.forget();
    lent.next = sessions_;
    sessions_ = &lent;
    ++free_sessions_;
    return true;
}

Exchange* ServerShard::take_exchange(ServerConnection& connection) noexcept {
    Exchange* exchange = exchanges_;
    DCHECK(core().on_thread() && (exchange != nullptr) == (kept_ > 0));
    if (exchange) {
        DCHECK(exchange->state_ == Exchange::State::over && !exchange->connection_);
        exchanges_ = exchange->next_;
        kept_ -= exchange->kept_;
    } else {
        exchange = new (std::nothrow) Exchange(engine_);
        if (!exchange) return nullptr;
    }
    exchange->connection_ = &connection;
    exchange->state_ = Exchange::State::open;
    return exchange;
}

void ServerShard::give_back(Exchange& exchange) noexcept {
    DCHECK(core().on_thread() && exchange.state_ != Exchange::State::over);
    exchange.reset();
    // This may run in the callback of the exchange's own Aio, which may destroy it.
    const std::size_t size = sizeof exchange + exchange.capacity();
    if (size > kKeptOfEach || size > kKeptOfAll - kept_) {
        delete &exchange;
        return;
    }
    exchange.kept_ = size;
    exchange.next_ = exchanges_;
    exchanges_ = &exchange;
    kept_ += size;
}

void ServerShard::require_running() {
    if (!ended_ && !core().is_stopped()) return;
    throw std::logic_error("uaio: http::Server::listen(): the engine of this server has stopped");
}

void ServerShard::add(std::unique_ptr<Acceptor> acceptor) {
    acceptors_.push_back(std::make_unique<Accepting>(*this, std::move(acceptor)));
    accept(*acceptors_.back());
}

void ServerShard::accept(Accepting& accepting) noexcept {
    const bool full = open_.load(std::memory_order_relaxed) >= options_.connections;
    if (accepting.waiting || accepting.over || draining_ || !serves() || full || paused_ ||
        crowded_)
        return;
    accepting.waiting = true;
    accepting.acceptor->accept(accepting.aio, accepting.stream);
}

void ServerShard::accept_all() noexcept {
    for (const auto& accepting : acceptors_)
        accept(*accepting);
}

void ServerShard::on_accepted(Accepting& accepting) noexcept {
    std::error_code error = accepting.aio.result();
    if (!error && !accepting.stream) {
        error = ArgumentErrc::no_stream;
        core().log(LogLevel::error,
                   "http::Server: an acceptor reported a connection, but put no "
                   "stream in its place; the server tries again");
    }
    if (!error && serves() && !draining_) {
        const int descriptor = accepting.stream->native_handle();
        auto* const connection =
            new (std::nothrow) ServerConnection(*this, std::move(accepting.stream));
        if (connection) {
            open_.store(open_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            connection->link(connections_);
            // The end of this or any other connection makes room again.
            crowded_ = !DescriptorBudget::has_room(descriptor, options_.spare_descriptors);
            connection->start();
        } else {
            accepting.stream.reset();
        }
        return accept(accepting);
    }
    accepting.stream.reset();
    if (error == Errc::closed || !serves() || draining_) return destroy_if_idle();
    if (error == ArgumentErrc::wrong_engine) {  // Acceptor::engine() is null
        accepting.over = true;
        return core().log(LogLevel::error,
                          "http::Server: an acceptor belongs to another engine than the one passed "
                          "to its factory; the server accepts nothing from it");
    }
    // The acceptor lacks a resource, such as memory: open connections continue, and free it when
    // they end. Socket listeners themselves wait for descriptors.
    if (paused_) return;
    paused_ = true;
    Provider::submit(engine_, *pause_, &start_as_timer, nullptr);
}

void ServerShard::on_pause_over() noexcept {
    DCHECK(paused_);
    paused_ = false;
    if (!serves()) return destroy_if_idle();
    accept_all();
}

void ServerShard::left(ServerConnection& connection) noexcept {
    DCHECK(core().on_thread() && open() > 0);
    connection.unlink();
    open_.store(open_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    delete &connection;
    DCHECK(empty() == (open() == 0));
    crowded_ = false;
    if (!serves()) return destroy_if_idle();
    if (paused_) {
        pause_->cancel();
    } else {
        accept_all();
    }
    if (empty()) notify_empty();
}

// Notifies the Server once, when no connection is left and none will come.
void ServerShard::notify_empty() noexcept {
    if (!draining_ || !server_ || notified_) return;
    DCHECK(empty() && open() == 0);
    notified_ = true;
    server_->shard_is_empty();
}

std::shared_ptr<void>& ServerShard::local(const void* key) { return locals_[key]; }

std::string_view ServerShard::date() noexcept {
    const std::int64_t now = ::time(nullptr);
    if (now != date_second_) {
        date_second_ = now;
        date_ = format_date(now);
    }
    return {date_.data(), date_.size()};
}

void ServerShard::request_drain() noexcept {
    const Arrival arrival(*this);
    if (!arrival || core().is_forked()) return;
    post(drain_requested_, [](MailboxEntry& entry) noexcept {
        auto& self = static_cast<ServerShard&>(static_cast<Mail&>(entry).object);
        self.arrived();
        self.drain();
    });
}

void ServerShard::drain() noexcept {
    if (draining_ || !server_) return;
    draining_ = true;
    for (const auto& accepting : acceptors_)
        accepting->acceptor->close();
    ServerConnection* connection = connections_;
    while (connection) {
        ServerConnection* const next = connection->next();
        connection->requests().drain();
        connection = next;
    }
    if (empty()) notify_empty();
}

void ServerShard::abandon() noexcept {
    server_ = nullptr;
    close_here();
    release();
}

void ServerShard::abandon_and_wait() noexcept {
    struct Call : CrossThreadCall {
        Call(EngineCore& on, ServerShard& leaving) noexcept : CrossThreadCall(on), shard(leaving) {}
        ServerShard& shard;
    } call(core(), *this);
    std::optional<Visit> visit;
    {
        const Arrival arrival(*this);
        if (arrival) {
            if (core().is_forked()) return;  // the shard is the parent's
            if (core().on_thread()) return abandon();
            if (close_unbound()) return release();
            visit.emplace(core().gate());
            call.deliver = [](MailboxEntry& entry) noexcept {
                Call& self = static_cast<Call&>(entry);
                self.shard.abandon();
                self.finish();
            };
            call.post();
        }
    }
    if (!visit) {
        wait_until_engine_gone();  // it may still call the Server
        if (is_engine_gone()) release();
        return;
    }
    if (!call.wait()) release();
}

bool ServerShard::close_unbound() noexcept {
    if (!core().thread().run_if_unbound([this] { server_ = nullptr; })) return false;
    for (const auto& accepting : acceptors_)
        accepting->acceptor->close();
    return true;
}

void ServerShard::close_here() noexcept {
    if (abandoned_) return;
    for (const auto& accepting : acceptors_)
        accepting->acceptor->close();
    if (paused_) pause_->cancel();
    ServerConnection* connection = connections_;
    while (connection) {
        ServerConnection* const next = connection->next();
        connection->abandon();
        connection = next;
    }
    abandoned_ = true;
}

bool ServerShard::accepting() const noexcept {
    return std::ranges::any_of(acceptors_, [](const auto& each) { return each->waiting; });
}

bool ServerShard::busy() const noexcept { return !empty() || paused_ || accepting(); }

// An exchange that a handler holds does not delay the end of the engine.
bool ServerShard::is_idle() const noexcept {
    for (const ServerConnection* at = connections_; at; at = at->next()) {
        if (at->pending()) return false;
    }
    return !paused_ && !accepting();
}

// Called before the engine is destroyed: frees all objects that hold an Aio of it, unless the
// kernel has not completed an operation, whose memory must stay.
void ServerShard::on_engine_destroyed(bool) noexcept {
    ended_ = true;
    draining_ = true;
    for (ServerConnection* at = connections_; at; at = at->next())
        at->drop_deadlines();
    free_sessions();  // no operation uses one
    if (!is_idle()) return;
    for (ServerConnection* connection = std::exchange(connections_, nullptr); connection;) {
        ServerConnection* const next = connection->next();
        connection->requests().drop_exchange();
        delete connection;
        connection = next;
    }
    open_.store(0, std::memory_order_relaxed);
    acceptors_.clear();
    locals_.clear();
    free_exchanges();
    pause_.reset();
    notify_empty();
}

}  // namespace uaio::http
