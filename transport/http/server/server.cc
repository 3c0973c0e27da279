#include <uaio/argument_error.h>
#include <uaio/engine_group.h>
#include <uaio/http_server.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "engine/call_on_engine.h"
#include "transport/http/server/router.h"
#include "transport/http/server/server_shard.h"

#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace uaio::http {

// The Aio of drain(), from the call until the Aio ends. The Server may be destroyed before, on
// another thread.
struct Server::Draining : MailboxEntry {
    explicit Draining(Server& of) noexcept : server(&of) {}

    // Ends the Aio if it has started and is of this engine. On the engine's thread.
    void end(Engine& on, std::error_code error = {}) noexcept {
        std::shared_ptr<Draining> kept;
        Aio* ended = nullptr;
        {
            const std::lock_guard lock(mutex);
            if (engine != &on || !aio) return;
            ended = std::exchange(aio, nullptr);
            engine = nullptr;
            kept = std::move(self);
        }
        Provider::finish(*ended, error);
    }

    std::mutex mutex;
    // Protected by mutex:
    Server* server;                    // null once it is destroyed
    Engine* engine = nullptr;          // of the Aio; null while no Aio is in progress
    Aio* aio = nullptr;                // null until it has started
    bool requested = false;            // every shard was asked to drain
    std::shared_ptr<Draining> self;    // while an Aio is in progress
    std::shared_ptr<Draining> posted;  // while this is in the mailbox of posted_to
    Engine* posted_to = nullptr;
};

namespace {

ServerOptions checked(ServerOptions options) {
    if (options.connections > 0) return options;
    throw std::invalid_argument(
        "uaio: http::Server: ServerOptions::connections must not be 0: no connection would be "
        "accepted");
}

// Throws std::invalid_argument for an acceptor that cannot serve this engine.
std::unique_ptr<Acceptor> make_acceptor(const AcceptorFactory& factory, Engine& engine) {
    std::unique_ptr<Acceptor> acceptor = factory(engine);
    if (!acceptor) {
        throw std::invalid_argument(
            "uaio: http::Server::listen(): the factory returned no acceptor");
    }
    if (acceptor->engine() && acceptor->engine() != &engine) {
        throw std::invalid_argument(
            "uaio: http::Server::listen(): the factory returned an acceptor of another engine; "
            "create it on the engine that is passed to the factory");
    }
    return acceptor;
}

}  // namespace

Server::Server(Engine& engine, ServerOptions options)
    : options_(checked(std::move(options))),
      router_(std::make_unique<Router>()),
      draining_(std::make_shared<Draining>(*this)) {
    EngineCore::of(engine).require_thread();
    shards_.reserve(1);
    shards_.push_back(new ServerShard(*this, engine, options_, *router_));
    shards_left_ = 1;
}

Server::Server(EngineGroup& group, ServerOptions options)
    : options_(checked(std::move(options))),
      router_(std::make_unique<Router>()),
      draining_(std::make_shared<Draining>(*this)) {
    shards_.reserve(group.size());
    try {
        for (std::size_t i = 0; i < group.size(); ++i) {
            EngineCore::of(group.engine(i)).require_thread();
            shards_.push_back(new ServerShard(*this, group.engine(i), options_, *router_));
        }
    } catch (...) {
        abandon_shards();
        throw;
    }
    shards_left_ = shards_.size();
}

void Server::abandon_shards() noexcept {
    for (ServerShard* shard : shards_)
        shard->abandon_and_wait();
}

Server::~Server() {
    Engine* waiting = nullptr;
    std::optional<Visit> visit;  // begins before the engine can have ended the Aio
    {
        const std::lock_guard lock(draining_->mutex);
        draining_->server = nullptr;
        if (draining_->aio) waiting = draining_->engine;
        if (waiting && !waiting->on_engine_thread()) visit.emplace(EngineCore::of(*waiting).gate());
    }
    abandon_shards();
    if (waiting) call_on_engine(*waiting, [this, waiting] { draining_->end(*waiting, {}); });
}

Route& Server::handle(std::string_view method, std::string_view path, Handler handler) {
    if (listening_)
        throw std::logic_error(
            "uaio: http::Server::handle() after listen(): add the routes before");
    return router_->add(method, path, std::move(handler), options_.content_limit);
}

void Server::listen(const AcceptorFactory& factory) {
    {
        const std::lock_guard lock(draining_->mutex);
        if (draining_->requested || draining_->engine) {
            throw std::logic_error(
                "uaio: http::Server::listen() after drain(): create another server");
        }
    }
    if (!listening_) router_->freeze();
    listening_ = true;
    std::vector<std::unique_ptr<Acceptor>> acceptors;
    for (ServerShard* shard : shards_) {
        if (shard->is_engine_gone()) {
            throw std::logic_error(
                "uaio: http::Server::listen(): the engine of this server has ended");
        }
        call_on_engine(shard->engine(), [shard] { shard->require_running(); });
        acceptors.push_back(make_acceptor(factory, shard->engine()));
    }
    for (std::size_t i = 0; i < shards_.size(); ++i)
        call_on_engine(shards_[i]->engine(), [&] { shards_[i]->add(std::move(acceptors[i])); });
}

void Server::drain(Aio& aio) noexcept {
    Draining& draining = *draining_;
    bool first = false;
    {
        const std::lock_guard lock(draining.mutex);
        first = draining.engine == nullptr;
        if (first) {
            draining.engine = &aio.engine();
            draining.self = draining_;
        }
    }
    if (!first) {
        Provider::submit(
            aio.engine(), aio,
            [](Aio& refused) noexcept {
                if (Provider::stopped(refused)) return Provider::finish(refused, Errc::canceled);
                Provider::finish(refused, ArgumentErrc::drain_in_progress);
            },
            nullptr);
    } else if (!Provider::submit(aio.engine(), aio, &start_drain, &draining)) {
        const std::lock_guard lock(draining.mutex);
        draining.engine = nullptr;
        draining.self.reset();
    }
}

void Server::start_drain(Aio& aio) noexcept {
    Draining& draining = *static_cast<Draining*>(Provider::owner(aio));
    Provider::park(aio, [](Aio& ended) noexcept {
        Draining& of = *static_cast<Draining*>(Provider::owner(ended));
        of.end(ended.engine(), Provider::cancel_reason(ended));
    });
    DCHECK(EngineCore::of(aio.engine()).on_thread() && !draining.aio);
    std::error_code refused;
    if (Provider::expired(aio)) refused = Errc::timed_out;
    if (Provider::stopped(aio)) refused = Errc::canceled;
    bool over = static_cast<bool>(refused);
    {
        const std::lock_guard lock(draining.mutex);
        draining.aio = &aio;
        over = over || !draining.server || draining.server->request_drain();
    }
    if (over) draining.end(aio.engine(), refused);
}

// REQUIRES: draining_'s mutex is held. True if every shard is empty.
bool Server::request_drain() noexcept {
    if (!std::exchange(draining_->requested, true)) {
        for (ServerShard* shard : shards_) {
            if (!shard->is_engine_gone()) shard->request_drain();
        }
    }
    return shards_left_ == 0;
}

// Called on the thread of the shard, once, when its last connection has closed and none will
// follow, or when its engine ends.
void Server::shard_is_empty() noexcept {
    const std::size_t before = shards_left_.fetch_sub(1, std::memory_order_acq_rel);
    DCHECK(before > 0 && before <= shards_.size());
    if (before > 1) return;
    const std::lock_guard lock(draining_->mutex);
    if (!draining_->engine) return;
    DCHECK(!draining_->posted);
    draining_->posted = draining_;
    draining_->posted_to = draining_->engine;
    draining_->deliver = [](MailboxEntry& entry) noexcept {
        const std::shared_ptr<Draining> held = std::move(static_cast<Draining&>(entry).posted);
        held->end(*held->posted_to);
    };
    EngineCore::of(*draining_->engine).post(*draining_);
}

std::size_t Server::connections() const noexcept {
    std::size_t sum = 0;
    for (const ServerShard* shard : shards_)
        sum += shard->open();
    return sum;
}

std::uint64_t Server::requests() const noexcept {
    std::uint64_t sum = 0;
    for (const ServerShard* shard : shards_)
        sum += shard->requests();
    return sum;
}

}  // namespace uaio::http
