#include <uaio/tcp.h>

#include "transport/socket/connecting.h"
#include "transport/socket/listening_socket.h"

#include <cstring>

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

}  // namespace

Listener::Listener(Engine& engine, const Endpoint& endpoint, const ListenOptions& options)
    : socket_(ListeningSocket::open(engine, endpoint.address(), endpoint.size(),
                                    {.backlog = options.backlog,
                                     .reuse_address = options.reuse_address,
                                     .reuse_port = options.reuse_port,
                                     .stream = options.stream,
                                     .file = {}},
                                    endpoint.to_string())),
      local_(local_of(*socket_)) {}

Listener::~Listener() { socket_->release(); }

void Listener::accept(Aio& aio, StreamPtr& out) { socket_->accept(aio, out); }

void Listener::close() noexcept { socket_->close(); }

AcceptorFactory acceptor(const Endpoint& endpoint, const ListenOptions& options) {
    return [endpoint, options](Engine& engine) -> std::unique_ptr<Acceptor> {
        return std::make_unique<Listener>(engine, endpoint, options);
    };
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
