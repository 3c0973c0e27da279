#include "transport/http/client/client_core.h"

#include <uaio/argument_error.h>
#include <uaio/provider.h>

#include "base/check.h"
#include "transport/http/client/client_connection.h"
#include "transport/http/message_sink.h"
#include "transport/stream/admit.h"
#include "transport/stream/note.h"

#include <memory>
#include <new>
#include <utility>

namespace uaio::http {
namespace {

// Transactions that have ended and are kept for later ones: as many as one turn of the engine ends
// on a busy client.
constexpr std::size_t kMostSpares = 256;

struct Note {
    Transaction* transaction;
};

Transaction* transaction_of(Aio& aio) noexcept { return note_in<Note>(aio).transaction; }

}  // namespace

ClientCore::ClientCore(Engine& engine, Connector& connector, const ClientOptions& options) noexcept
    : EngineObject(EngineCore::of(engine)),
      connector_(connector),
      options_(options),
      origin_(connector) {}

struct ClientCore::Departure : CrossThreadCall {
    Departure(EngineCore& engine, ClientCore& leaving) noexcept
        : CrossThreadCall(engine), core(leaving) {}
    ClientCore& core;
};

ClientCore::~ClientCore() {
    while (Transaction* const spare = spare_) {
        spare_ = spare->next;
        delete spare;
    }
    if (departure_) departure_->finish();
}

Transaction* ClientCore::make_transaction() noexcept {
    if (!core().on_thread() || !spare_) return new (std::nothrow) Transaction;
    Transaction* const transaction = spare_;
    spare_ = transaction->next;
    --spares_;
    *transaction = Transaction();
    return transaction;
}

void ClientCore::start(Aio& aio) noexcept {
    ClientCore& self = *static_cast<ClientCore*>(Provider::owner(aio));
    std::unique_ptr<Transaction> transaction(static_cast<Transaction*>(Provider::argument(aio)));
    const Admission admission = admit_without_buffers(aio, self.abandoned_ || self.engine_ends_);
    std::error_code refused;
    if (admission.refused != Errc{}) {
        refused = admission.refused;
    } else if (is_streamed(*transaction->request)) {
        refused = ArgumentErrc::invalid_message;  // there is no way to write its content later
    } else {
        refused = self.origin_.admit(*transaction->request);
    }
    if (refused) return Provider::finish(aio, refused);
    put_note(aio, Note{transaction.get()});
    Provider::park_untracked(aio, &on_cancel);
    transaction->response->reset();
    self.carry(*transaction.release());
}

void ClientCore::on_cancel(Aio& aio) noexcept {
    Transaction& transaction = *transaction_of(aio);
    ClientCore& self = *static_cast<ClientCore*>(Provider::owner(aio));
    if (ClientConnection* const connection = transaction.connection)
        return connection->end(Provider::cancel_reason(aio));
    for (Transaction** at = &self.waiting_; *at; at = &(*at)->next) {
        if (*at != &transaction) continue;
        *at = transaction.next;
        if (!*at) self.waiting_end_ = at;
        break;
    }
    DCHECK(*self.waiting_end_ == nullptr);
    self.finish(transaction, Provider::cancel_reason(aio));
}

ClientConnection* ClientCore::find_usable() noexcept {
    while (ClientConnection* const at = resting_) {
        if (at->check()) return at;
        counters.discarded.add();
        at->end(Errc::closed);
        DCHECK(resting_ != at);
    }
    return nullptr;
}

// A retry takes the next new connection, and closes an idle one to make room for it.
void ClientCore::wait(Transaction& transaction) noexcept {
    DCHECK(!transaction.connection && *waiting_end_ == nullptr);
    if (!transaction.again) {
        transaction.next = nullptr;
        *waiting_end_ = &transaction;
        waiting_end_ = &transaction.next;
        return;
    }
    transaction.next = waiting_;
    if (!waiting_) waiting_end_ = &transaction.next;
    waiting_ = &transaction;
    if (resting_) resting_->end(Errc::closed);
}

// A retry does not use another kept connection, which may be dead as well.
void ClientCore::carry(Transaction& transaction) noexcept {
    ClientConnection* const kept = find_usable();
    if (kept && !transaction.again) {
        counters.reuses.add();
        return kept->carry(transaction);
    }
    if (open_ >= options_.connections) return wait(transaction);
    auto* const connection = new (std::nothrow) ClientConnection(*this);
    if (!connection) return finish(transaction, Errc::not_enough_memory);
    connection->next_ = connections_;
    connection->previous_ = &connections_;
    if (connections_) connections_->previous_ = &connection->next_;
    connections_ = connection;
    ++open_;
    counters.connections.add();
    connection->connect(transaction);
}

void ClientCore::finish(Transaction& transaction, std::error_code error) noexcept {
    DCHECK(core().on_thread() && transaction_of(*transaction.aio) == &transaction);
    Aio& aio = *transaction.aio;
    Provider::add_count(aio, transaction.response->content().size());
    Provider::finish(aio, error);
    if (spares_ == kMostSpares) {
        delete &transaction;
        return;
    }
    transaction.next = spare_;
    spare_ = &transaction;
    ++spares_;
}

void ClientCore::carry_waiting() noexcept {
    Transaction* const first = waiting_;
    if (!first) return;
    waiting_ = first->next;
    if (!waiting_) waiting_end_ = &waiting_;
    carry(*first);
}

void ClientCore::left(ClientConnection& connection) noexcept {
    DCHECK(open_ > 0 && *connection.previous_ == &connection && !connection.current_);
    *connection.previous_ = connection.next_;
    if (connection.next_) connection.next_->previous_ = connection.previous_;
    --open_;
    delete &connection;
    DCHECK((connections_ == nullptr) == (open_ == 0));
    if (abandoned_) return destroy_if_idle();
    carry_waiting();
}

bool ClientCore::close_unbound() noexcept {
    return core().thread().run_if_unbound([this] {
        DCHECK(!connections_ && !waiting_);
        abandoned_ = true;
    });
}

void ClientCore::release_and_wait() noexcept {
    Departure departure(core(), *this);
    std::optional<Visit> visit;
    {
        const Arrival arrival(*this);
        if (arrival) {
            if (core().is_forked()) return;  // leaks, as its streams do
            if (core().on_thread() || close_unbound()) return release();
            visit.emplace(core().gate());
            departure.deliver = [](MailboxEntry& entry) noexcept {
                Departure& self = static_cast<Departure&>(entry);
                self.core.departure_ = &self;
                self.core.release();
            };
            departure.post();
        }
    }
    if (!visit) {
        wait_until_engine_gone();  // it may still use the Client's Connector
    } else if (departure.wait()) {
        return;
    }
    release();
}

// In a refused ring the reads of idle connections never end; without a transaction nothing else
// uses the Connector.
void ClientCore::begin_shutdown() noexcept {
    engine_ends_ = true;
    if (departure_ && core().loop().has_failed() && !has_transactions())
        std::exchange(departure_, nullptr)->finish();
}

bool ClientCore::has_transactions() const noexcept {
    for (const ClientConnection* at = connections_; at; at = at->next_) {
        if (at->current_) return true;
    }
    return waiting_ != nullptr;
}

void ClientCore::close_here() noexcept {
    if (abandoned_) return;
    while (Transaction* const first = waiting_) {
        waiting_ = first->next;
        finish(*first, Errc::closed);
    }
    waiting_end_ = &waiting_;
    for (ClientConnection* at = connections_; at;) {
        ClientConnection* const next = at->next_;
        at->end(Errc::closed);  // may free it
        at = next;
    }
    abandoned_ = true;
}

ClientStatistics ClientCore::statistics() const noexcept {
    return {.connections = counters.connections.value(),
            .reuses = counters.reuses.value(),
            .retries = counters.retries.value(),
            .discarded = counters.discarded.value()};
}

}  // namespace uaio::http
