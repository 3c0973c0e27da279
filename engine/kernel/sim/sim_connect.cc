// Makes the connections of the network: addresses, listeners, connects.
#include "engine/kernel/sim/sim_network.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace uaio {
namespace {

// The range that Linux picks from (ip_local_port_range).
constexpr std::uint16_t kFirstFreePort = 32768;
constexpr std::uint16_t kFreePorts = 28232;

// Six retries of a SYN, the default of tcp_syn_retries.
constexpr std::chrono::seconds kConnectTimeout(127);

bool v6_only(const SimSocket& socket) noexcept {
    return socket.option(IPPROTO_IPV6, IPV6_V6ONLY) != 0;
}

}  // namespace

// --- Addresses ---

bool SimNetwork::in_use(const SimSocket& socket, const SimAddress& address) const noexcept {
    const auto has = [](const SimSocket& one, int name) {
        return one.option(SOL_SOCKET, name) != 0;
    };
    for (const auto& [number, owned] : sockets_) {
        const SimSocket& user = *owned;
        if (&user == &socket || !user.is_bound()) continue;
        const bool meet = user.local.receives(address, v6_only(user)) ||
                          address.receives(user.local, v6_only(socket));
        if (!meet) continue;
        if (socket.is_local()) return true;
        if (has(user, SO_REUSEPORT) && has(socket, SO_REUSEPORT)) continue;
        const bool reused = has(user, SO_REUSEADDR) && has(socket, SO_REUSEADDR);
        if (!reused || user.state == SimSocket::State::listening) return true;
    }
    return false;
}

bool SimNetwork::bind_free_port(SimSocket& socket, SimAddress address) {
    for (unsigned tried = 0; tried < kFreePorts; ++tried) {
        address.set_port(static_cast<std::uint16_t>(kFirstFreePort + next_port_));
        next_port_ = static_cast<std::uint16_t>((next_port_ + 1) % kFreePorts);
        if (in_use(socket, address)) continue;
        socket.local = address;
        return true;
    }
    return false;
}

int SimNetwork::bind(SimSocket& socket, SimAddress address) {
    if (socket.is_bound() || !address.complete()) return -EINVAL;
    if (address.family() != socket.domain) return socket.is_local() ? -EINVAL : -EAFNOSUPPORT;
    if (!address.is_local()) return -EADDRNOTAVAIL;
    if (address.unnamed()) {
        // unix(7), autobind: a zero and five hexadecimal digits.
        char name[8];
        std::snprintf(name, sizeof name, "%c%05x", 0, next_name_++ & 0xfffffu);
        address = SimAddress::path({name, 6});
    } else if (!socket.is_local() && address.port() == 0) {
        return bind_free_port(socket, address) ? 0 : -EADDRINUSE;
    }
    if (in_use(socket, address)) return -EADDRINUSE;
    socket.local = address;
    return 0;
}

// --- Listeners ---

int SimNetwork::listen(SimSocket& socket, int backlog) {
    if (socket.state != SimSocket::State::fresh && socket.state != SimSocket::State::listening) {
        return -EINVAL;
    }
    if (!socket.is_bound()) {
        if (socket.is_local()) return -EINVAL;
        if (!bind_free_port(socket, SimAddress::any(socket.domain))) return -EADDRINUSE;
    }
    socket.state = SimSocket::State::listening;
    DCHECK(socket.is_consistent());
    // Linux takes one more than requested.
    socket.backlog_limit = static_cast<std::size_t>(std::max(backlog, 0)) + 1;
    return 0;
}

bool SimNetwork::has_room(const SimSocket& listener) const noexcept {
    return listener.backlog.size() + listener.backlog_reserved < listener.backlog_limit;
}

SimSocket* SimNetwork::listener_for(const SimAddress& target) {
    // Listeners that share a port (SO_REUSEPORT) get connections at random.
    std::vector<SimSocket*> found;
    for (const auto& [number, owned] : sockets_) {
        const bool listens = owned->state == SimSocket::State::listening;
        if (listens && owned->local.receives(target, v6_only(*owned))) found.push_back(owned.get());
    }
    if (found.empty()) return nullptr;
    return found.size() == 1 ? found[0] : found[random_.between(0, found.size() - 1)];
}

bool SimNetwork::has_listener(const SimAddress& target) const noexcept {
    return std::ranges::any_of(sockets_, [&target](const auto& entry) {
        const SimSocket& socket = *entry.second;
        return socket.state == SimSocket::State::listening &&
               socket.local.receives(target, v6_only(socket));
    });
}

SimSocket* SimNetwork::accept(SimSocket& listener) {
    if (listener.backlog.empty()) return nullptr;
    SimSocket* const accepted = listener.backlog.front();
    listener.backlog.pop_front();
    while (!listener.waiting_clients.empty() && has_room(listener)) {
        SimSocket* const client = waiting_client(listener.waiting_clients.front());
        listener.waiting_clients.pop_front();
        if (client) pair(*client, listener);
    }
    DCHECK(accepted->holders == 1);
    return accepted;
}

// The socket, if that connect of it still waits for a listener.
SimSocket* SimNetwork::waiting_client(const SimSocket::Client& client) noexcept {
    SimSocket* const socket = find(client.number);
    const bool waits = socket && socket->state == SimSocket::State::connecting && !socket->other &&
                       socket->connects == client.connect;
    return waits ? socket : nullptr;
}

void SimNetwork::stop_listening(SimSocket& listener) {
    for (SimSocket* const unaccepted : std::exchange(listener.backlog, {})) {
        reset(*unaccepted);
        release(*unaccepted);
    }
    for (const SimSocket::Client& waiting : std::exchange(listener.waiting_clients, {})) {
        if (SimSocket* const client = waiting_client(waiting)) fail_connect(*client, ECONNREFUSED);
    }
}

// --- Connects ---

int SimNetwork::connect(SimSocket& socket, const SimAddress& target) {
    DCHECK(socket.state == SimSocket::State::fresh && socket.is_consistent());
    if (!target.complete()) return -EINVAL;
    if (target.family() != socket.domain) return socket.is_local() ? -EINVAL : -EAFNOSUPPORT;
    if (!target.is_local()) return -ENETUNREACH;
    SimSocket* const listener = listener_for(target);
    if (socket.is_local() && !listener) {
        return in_use(socket, target) ? -ECONNREFUSED : -ENOENT;
    }
    if (!socket.is_local() && !socket.is_bound()) {
        const SimAddress own = SimAddress::loopback(socket.domain, 0);
        if (!bind_free_port(socket, own)) return -EADDRNOTAVAIL;
    }
    socket.remote = target;
    socket.state = SimSocket::State::connecting;
    socket.error = 0;
    ++socket.connects;
    if (!listener) {
        deliver(socket, &SimNetwork::refusal_arrives, socket.connects);
    } else if (has_room(*listener)) {
        pair(socket, *listener);
    } else {
        listener->waiting_clients.push_back({socket.number, socket.connects});
        if (socket.is_local()) return 0;
        const std::uint64_t number = socket.number;
        const auto give_up = [this, number] {
            if (SimSocket* const client = find(number)) fail_connect(*client, ETIMEDOUT);
        };
        socket.connect_timer =
            events_.plan_after(kConnectTimeout, SimEvents::Kind::delivery, give_up);
    }
    DCHECK(socket.is_consistent());
    return 0;
}

void SimNetwork::pair(SimSocket& client, SimSocket& listener) {
    DCHECK(client.state == SimSocket::State::connecting && !client.other);
    DCHECK(listener.state == SimSocket::State::listening && has_room(listener));
    DCHECK(listener.local.receives(client.remote, v6_only(listener)));
    SimSocket& server = make(listener.domain, *listener.watcher);
    server.state = SimSocket::State::connected;
    server.listener = listener.number;
    server.options = listener.options;
    server.send_buffer = listener.send_buffer;
    server.receive_buffer = listener.receive_buffer;
    server.window = listener.window;
    const bool maps = server.domain == AF_INET6;
    server.local = maps ? client.remote.mapped() : client.remote;
    server.remote = maps ? client.local.mapped() : client.local;
    if (client.is_local() && !client.is_bound()) server.remote = SimAddress::any(AF_UNIX);
    server.other = &client;
    client.other = &server;
    resize(client);
    ++listener.backlog_reserved;
    if (client.connect_timer) events_.cancel(*client.connect_timer);
    client.connect_timer.reset();
    DCHECK(client.is_consistent() && server.is_consistent());
    deliver(server, &SimNetwork::client_arrives);
    deliver(client, &SimNetwork::connection_arrives, client.connects);
}

void SimNetwork::client_arrives(SimSocket& server, std::size_t) {
    SimSocket* const listener = find(server.listener);
    DCHECK(server.state == SimSocket::State::connected && server.holders == 1);
    DCHECK(!listener || listener->backlog_reserved > 0);
    if (listener) --listener->backlog_reserved;
    if (listener && listener->state == SimSocket::State::listening) {
        listener->backlog.push_back(&server);
        ready(*listener, SimDirection::in);
        return;
    }
    reset(server);
    release(server);
}

// The answer to an abandoned connect does not affect the next one.
void SimNetwork::connection_arrives(SimSocket& client, std::size_t connect) {
    if (client.state != SimSocket::State::connecting || client.connects != connect) return;
    client.state = SimSocket::State::connected;
    DCHECK(client.is_consistent() && !client.error);
    ready(client, SimDirection::out);
}

void SimNetwork::refusal_arrives(SimSocket& client, std::size_t connect) {
    if (client.connects == connect) fail_connect(client, ECONNREFUSED);
}

void SimNetwork::fail_connect(SimSocket& client, int error) {
    if (client.state != SimSocket::State::connecting) return;
    if (client.connect_timer) events_.cancel(*client.connect_timer);
    client.connect_timer.reset();
    client.state = SimSocket::State::fresh;
    client.error = error;
    DCHECK(client.is_consistent());
    ready(client, SimDirection::out);
}

void SimNetwork::abandon(SimSocket& socket) {
    if (socket.state != SimSocket::State::connecting) return;
    if (socket.connect_timer) events_.cancel(*socket.connect_timer);
    socket.connect_timer.reset();
    socket.state = SimSocket::State::fresh;
    if (SimSocket* const other = std::exchange(socket.other, nullptr)) {
        other->other = nullptr;
        deliver(*other, &SimNetwork::reset_arrives);
    }
    DCHECK(socket.is_consistent());
}

}  // namespace uaio
