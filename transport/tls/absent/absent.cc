// <uaio/tls.h> in a build without TLS: all operations end with Errc::not_supported.
#include <uaio/tls.h>

#include "transport/stream/starters.h"

namespace uaio::tls {

Context::Context(const ContextOptions&) : core_(nullptr) {}
Context::~Context() = default;
Context::Context(const Context&) noexcept : core_(nullptr) {}
std::uint64_t Context::resumed() const noexcept { return 0; }
std::uint64_t Context::handshakes() const noexcept { return 0; }
std::uint64_t Context::failures() const noexcept { return 0; }

void connect(const Context&, StreamPtr below, const ClientOptions&, Aio& aio, StreamPtr&) noexcept {
    below.reset();
    refuse<Errc::not_supported>(aio);
}

void accept(const Context&, StreamPtr below, Aio& aio, StreamPtr&) noexcept {
    below.reset();
    refuse<Errc::not_supported>(aio);
}

Details details(const Stream&) { return {}; }

Offload offload() noexcept { return {false, "this build of uaio has no TLS"}; }

Listener::Listener(Engine&, std::unique_ptr<Acceptor>, const Context&, const ListenerOptions&)
    : core_(nullptr) {}
Listener::~Listener() = default;
void Listener::accept(Aio& aio, StreamPtr&) { refuse<Errc::not_supported>(aio); }
void Listener::close() noexcept {}
Engine* Listener::engine() const noexcept { return nullptr; }

AcceptorFactory acceptor(AcceptorFactory below, const Context& context,
                         const ListenerOptions& options) {
    return [below = std::move(below), context, options](Engine& engine) {
        return std::make_unique<Listener>(engine, below(engine), context, options);
    };
}

void Connector::connect(Aio& aio, StreamPtr&) { refuse<Errc::not_supported>(aio); }

}  // namespace uaio::tls
