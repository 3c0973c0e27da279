#include <uaio/argument_error.h>
#include <uaio/http_client.h>
#include <uaio/provider.h>

#include "transport/http/client/client_core.h"
#include "transport/stream/starters.h"

#include <memory>
#include <new>
#include <stdexcept>

namespace uaio::http {
Client::Client(Connector& connector, const ClientOptions& options)
    : connector_(connector), options_(options) {
    if (options.connections > 0) return;
    throw std::invalid_argument(
        "uaio: http::Client: ClientOptions::connections must not be 0: every request would wait "
        "for ever");
}

Client::~Client() {
    ClientCore* const core = core_.load(std::memory_order_acquire);
    if (core) core->release_and_wait();
}

// The engine's side of this client, created on first use; null if out of memory.
ClientCore* Client::core_for(Aio& aio) noexcept {
    ClientCore* core = core_.load(std::memory_order_acquire);
    if (core) return core;
    auto* const made = new (std::nothrow) ClientCore(aio.engine(), connector_, options_);
    if (!made) return nullptr;
    if (core_.compare_exchange_strong(core, made, std::memory_order_acq_rel)) {
        made->join_engine();
        return made;
    }
    made->discard();  // another thread was first
    return core;
}

void Client::transact(Request& request, Response& response, Aio& aio) noexcept {
    // Without a thread, the engine would never know the core.
    if (EngineCore::of(aio.engine()).is_over()) return refuse<Errc::engine_lost>(aio);
    ClientCore* const core = core_for(aio);
    if (core && core->is_engine_gone()) return refuse_without_engine(aio);
    std::unique_ptr<Transaction> transaction(core ? core->make_transaction() : nullptr);
    if (!transaction) return refuse<Errc::not_enough_memory>(aio);
    transaction->request = &request;
    transaction->response = &response;
    transaction->aio = &aio;
    // No starter would run, which frees the transaction.
    if (&core->engine() != &aio.engine()) {
        return refuse<ArgumentErrc::wrong_engine>(core->engine(), aio);
    }
    if (Provider::submit(core->engine(), aio, &ClientCore::start, core, transaction.get())) {
        static_cast<void>(transaction.release());
    }
}

ClientStatistics Client::statistics() const noexcept {
    const ClientCore* const core = core_.load(std::memory_order_acquire);
    return core ? core->statistics() : ClientStatistics{};
}

}  // namespace uaio::http
