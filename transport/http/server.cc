#include <uaio/argument_error.h>
#include <uaio/http_server.h>
#include <uaio/provider.h>

#include "transport/http/router.h"
#include "transport/http/run_there.h"
#include "transport/http/server_loop.h"

#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

namespace uaio::http {

// What waits for the end. Loops and Server may go before that comes.
struct Server::Draining : MailboxEntry {
    explicit Draining(Engine& of) noexcept : engine(&of) {}

    std::mutex mutex;
    Engine* engine;                  // by mutex: null once it is gone
    Aio* aio = nullptr;              // until it ended; on the engine's thread
    std::shared_ptr<Draining> self;  // while this is in the engine's mailbox
};

Server::Server(Engine& engine, ServerOptions options)
    : options_(std::move(options)), router_(std::make_unique<Router>()) {
    loops_.reserve(1);
    loops_.push_back(new ServerLoop(*this, engine, options_, *router_));
    loops_left_ = 1;
}

Server::Server(EngineGroup& group, ServerOptions options)
    : options_(std::move(options)), router_(std::make_unique<Router>()) {
    loops_.reserve(group.size());
    try {
        for (std::size_t i = 0; i < group.size(); ++i) {
            loops_.push_back(new ServerLoop(*this, group.engine(i), options_, *router_));
        }
    } catch (...) {
        abandon_loops();
        throw;
    }
    loops_left_ = loops_.size();
}

void Server::abandon_loops() noexcept {
    for (ServerLoop* loop : loops_) {
        if (loop->outlived_engine()) {
            loop->release();
        } else {
            run_there(loop->engine(), [loop] { loop->abandon(); });
        }
    }
}

Server::~Server() {
    abandon_loops();
    if (draining_ && draining_->engine) {
        run_there(*draining_->engine, [this] {
            if (Aio* const aio = std::exchange(draining_->aio, nullptr)) provider::finish(*aio);
        });
    }
}

Route& Server::handle(std::string_view method, std::string_view path, Handler handler) {
    if (listening_) throw std::logic_error("Server::handle() after listen(): set routes up before");
    return router_->add(method, path, std::move(handler), options_.content_limit);
}

void Server::listen(const AcceptorFactory& factory) {
    if (!listening_) router_->freeze();
    listening_ = true;
    for (ServerLoop* loop : loops_) {
        if (loop->outlived_engine()) {
            throw std::logic_error("Server::listen(): the engine of this server has ended");
        }
        std::unique_ptr<Acceptor> acceptor = factory(loop->engine());
        run_there(loop->engine(), [&] { loop->add(std::move(acceptor)); });
    }
}

void Server::drain(Aio& aio) noexcept { provider::submit(aio.engine(), aio, &start_drain, this); }

void Server::start_drain(Aio& aio) noexcept {
    Server& self = *static_cast<Server*>(provider::owner(aio));
    if (provider::stopped(aio)) return provider::finish(aio, Errc::canceled);
    if (provider::expired(aio)) return provider::finish(aio, Errc::timed_out);
    if (self.loops_left_ == 0) return provider::finish(aio);
    const bool again = self.draining_ != nullptr;
    // The loops look at it from now on, so it stays when its first Aio has ended.
    if (again && (self.draining_->aio || self.draining_->engine != &aio.engine())) {
        return provider::finish(aio, ArgumentErrc::drain_in_progress);
    }
    try {
        if (!again) self.draining_ = std::make_shared<Draining>(aio.engine());
        self.draining_->aio = &aio;
        provider::park(aio, [](Aio& ended) noexcept {
            static_cast<Server*>(provider::owner(ended))->draining_->aio = nullptr;
            provider::finish(ended, provider::cancel_reason(ended));
        });
        for (ServerLoop* loop : self.loops_) {
            if (loop->outlived_engine()) {
                if (!again) self.loop_is_empty();
            } else if (&loop->engine() == &aio.engine()) {
                loop->drain();  // at once: a ~Server right behind this frees the loop
            } else {
                loop->engine().post([loop] { loop->drain(); });
            }
        }
    } catch (const std::bad_alloc&) {
        if (self.draining_) self.draining_->aio = nullptr;
        provider::finish(aio, Errc::not_enough_memory);
    }
}

// On the thread of the loop, once, when its last connection is gone and no other will come.
void Server::loop_is_empty() noexcept {
    if (loops_left_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    const std::lock_guard lock(draining_->mutex);
    if (!draining_->engine) return;
    draining_->self = draining_;
    draining_->deliver = [](MailboxEntry& entry) noexcept {
        const std::shared_ptr<Draining> held = std::move(static_cast<Draining&>(entry).self);
        if (Aio* const aio = std::exchange(held->aio, nullptr)) provider::finish(*aio);
    };
    EngineCore::of(*draining_->engine).post(*draining_);
}

void Server::engine_ends(const Engine& engine) noexcept {
    const std::lock_guard lock(draining_->mutex);
    if (draining_->engine == &engine) draining_->engine = nullptr;
}

std::size_t Server::connections() const noexcept {
    std::size_t sum = 0;
    for (const ServerLoop* loop : loops_)
        sum += loop->open();
    return sum;
}

std::uint64_t Server::requests() const noexcept {
    std::uint64_t sum = 0;
    for (const ServerLoop* loop : loops_)
        sum += loop->requests();
    return sum;
}

}  // namespace uaio::http
