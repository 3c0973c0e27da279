#include <uaio/provider.h>
#include <uaio/tls.h>

#include "engine/core.h"
#include "transport/stream/admit.h"
#include "transport/stream/starters.h"
#include "transport/tls/context_core.h"

#include <memory>
#include <new>
#include <utility>

namespace uaio::tls {
namespace {

// A connect under way: the connector below opens a stream, then TLS runs on it. Not a Resident:
// engine shutdown finds the user's Aio. Freed by the callback of `inner`.
struct Connecting {
    Connecting(Engine& engine, const Context& shared, ClientOptions wanted, StreamPtr& to)
        : context(shared),
          options(std::move(wanted)),
          out(to),
          inner(engine, [this](Aio&) { on_connected(); }) {}

    static void start(Aio& aio) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    void on_connected() noexcept;

    const Context context;
    const ClientOptions options;
    StreamPtr& out;
    StreamPtr below;
    uaio::Connector* connector = nullptr;
    Aio* user = nullptr;
    Aio inner;
};

void Connecting::start(Aio& aio) noexcept {
    auto* const self = static_cast<Connecting*>(Provider::owner(aio));
    const Admission admission = admit_without_buffers(aio, false);
    if (admission.refused != Errc{}) {
        Provider::finish(aio, admission.refused);
        delete self;
        return;
    }
    self->user = &aio;
    Provider::park(aio, &on_cancel);
    self->connector->connect(self->inner, self->below);
}

// The result of the connector below ends the connect.
void Connecting::on_cancel(Aio& aio) noexcept {
    auto* const self = static_cast<Connecting*>(Provider::owner(aio));
    Provider::cancel(self->inner, Provider::cancel_reason(aio));
}

void Connecting::on_connected() noexcept {
    std::error_code error = inner.result();
    if (!error) error = Provider::cancel_reason(*user);
    if (error) {
        Provider::finish(*user, error);
    } else {
        Provider::forward(*user,
                          [&] { tls::connect(context, std::move(below), options, *user, out); });
    }
    delete this;
}

}  // namespace

void Connector::connect(Aio& aio, StreamPtr& out) {
    std::unique_ptr<Connecting> connecting;
    try {
        connecting = std::make_unique<Connecting>(aio.engine(), context_, options_, out);
    } catch (const std::bad_alloc&) {
        return refuse<Errc::not_enough_memory>(aio);
    }
    connecting->connector = &below_;
    submit_owned(std::move(connecting), aio, &Connecting::start);
}

}  // namespace uaio::tls
