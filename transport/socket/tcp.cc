#include <uaio/tcp.h>

#include "transport/socket/connecting.h"
#include "transport/socket/listening_socket.h"

#include <cstring>
#include <mutex>
#include <utility>

namespace uaio::tcp {
namespace {

SocketAddress address_of(const Endpoint& endpoint) noexcept {
    SocketAddress address;
    address.size = endpoint.size();
    std::memcpy(&address.storage, endpoint.address(), endpoint.size());
    return address;
}

Endpoint local_of(ListeningSocket& socket) noexcept {
    SocketAddress address;
    address.size = sizeof address.storage;
    socket.core().kernel().local_address(socket.fd(), reinterpret_cast<sockaddr*>(&address.storage),
                                         &address.size);
    return Endpoint::from(address.get(), address.size);
}

ListeningSocket& open(Engine& engine, const Endpoint& endpoint, const ListenOptions& options,
                      std::shared_ptr<SocketShare> share) {
    return *ListeningSocket::open(engine, endpoint.address(), endpoint.size(),
                                  {.backlog = options.backlog,
                                   .reuse_address = options.reuse_address,
                                   .reuse_port = options.reuse_port,
                                   .stream = options.stream,
                                   .file = {},
                                   .share = std::move(share)},
                                  endpoint.to_string());
}

}  // namespace

Listener::Listener(Engine& engine, const Endpoint& endpoint, const ListenOptions& options)
    : Listener(open(engine, endpoint, options, nullptr)) {}

Listener::Listener(ListeningSocket& socket) : socket_(&socket), local_(local_of(socket)) {}

Listener::~Listener() { socket_->release(); }

void Listener::accept(Aio& aio, StreamPtr& out) { socket_->accept(aio, out); }

void Listener::close() noexcept { socket_->close(); }

Engine* Listener::engine() const noexcept { return socket_->engine_if_any(); }

struct Acceptors::State {
    const Endpoint endpoint;
    const ListenOptions options;
    const std::shared_ptr<SocketShare> share = std::make_shared<SocketShare>();
    std::mutex mutex;
    Endpoint local;  // protected by mutex
};

Acceptors::Acceptors(const Endpoint& endpoint, const ListenOptions& options)
    : state_(new State{.endpoint = endpoint, .options = options, .mutex = {}, .local = endpoint}) {}

std::unique_ptr<Acceptor> Acceptors::operator()(Engine& engine) const {
    State& state = *state_;
    const std::lock_guard lock(state.mutex);
    std::unique_ptr<Listener> listener;
    if (state.options.reuse_port) {
        listener.reset(new Listener(open(engine, state.local, state.options, nullptr)));
    } else {
        listener.reset(new Listener(open(engine, state.endpoint, state.options, state.share)));
    }
    state.local = listener->local_endpoint();
    return listener;
}

Endpoint Acceptors::local_endpoint() const {
    const std::lock_guard lock(state_->mutex);
    return state_->local;
}

Acceptors acceptor(const Endpoint& endpoint, const ListenOptions& options) {
    return Acceptors(endpoint, options);
}

void connect(const Endpoint& endpoint, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept {
    ConnectPlan plan;
    plan.peer = address_of(endpoint);
    plan.interface = options.interface;
    plan.local_ports = options.local_ports;
    if (options.local) plan.local = address_of(*options.local);
    plan.stream = options.stream;
    connect_socket(plan, aio, out);
}

}  // namespace uaio::tcp
