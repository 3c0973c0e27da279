#include <uaio/tls.h>

#include "engine/core.h"
#include "transport/stream/admit.h"
#include "transport/tls/context_core.h"

#include <new>
#include <utility>

namespace uaio::tls {
namespace {

// A user's Aio on its way to a tls stream, while the connector below makes the one that it lies on.
// No Resident: the end of the engine finds the Aio. Freed by its own Aio's callback.
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
    auto* const self = static_cast<Connecting*>(EngineCore::owner(aio));
    EngineCore& core = EngineCore::of(aio);
    const Admission admission = admit_without_vector(aio, false);
    if (admission.refused != Errc{}) {
        core.finish(aio, admission.refused);
        delete self;
        return;
    }
    self->user = &aio;
    core.park_to_be_found(aio, &on_cancel);
    self->connector->connect(self->inner, self->below);
}

// What the connector below says is the end.
void Connecting::on_cancel(Aio& aio) noexcept {
    auto* const self = static_cast<Connecting*>(EngineCore::owner(aio));
    EngineCore::of(aio).cancel_here(self->inner, EngineCore::cancel_reason(aio));
}

void Connecting::on_connected() noexcept {
    EngineCore& core = EngineCore::of(inner);
    std::error_code error = inner.result();
    if (!error) error = EngineCore::cancel_reason(*user);
    if (error) {
        core.finish(*user, error);
    } else {
        provider::hand_on(*user,
                          [&] { tls::connect(context, std::move(below), options, *user, out); });
    }
    delete this;
}

void refuse_without_memory(Aio& aio) noexcept {
    EngineCore::submit(
        aio.engine(), aio,
        [](Aio& started) noexcept {
            EngineCore::of(started).finish(started, Errc::not_enough_memory);
        },
        nullptr);
}

}  // namespace

void Connector::connect(Aio& aio, StreamPtr& out) {
    Connecting* connecting = nullptr;
    try {
        connecting = new Connecting(aio.engine(), context_, options_, out);
    } catch (const std::bad_alloc&) {
        return refuse_without_memory(aio);
    }
    connecting->connector = &below_;
    if (!EngineCore::submit(aio.engine(), aio, &Connecting::start, connecting)) delete connecting;
}

}  // namespace uaio::tls
