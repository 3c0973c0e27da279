// The simulated network: sockets, addresses, connections, and the travel of bytes, ends and resets.
// The rules are those of tcp and unix streams on Linux 6.18, as measured; functions return 0 or
// more, or a negative errno. For the kernel's thread.
#pragma once

#include <uaio/sim.h>

#include "base/check.h"
#include "engine/kernel/sim/sim_random.h"
#include "engine/kernel/sim/sim_socket.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace uaio {

class SimNetwork {
public:
    SimNetwork(SimEvents& events, SimRandom& random, const Faults& faults) noexcept
        : events_(events), random_(random), faults_(faults) {}

    // A new socket, held once for the caller.
    SimSocket& make(int domain, SimWatcher& watcher);
    void hold(SimSocket& socket) noexcept {
        DCHECK(socket.holders > 0);
        ++socket.holders;
    }
    // The last release closes the socket: with an end, or with a reset if bytes were not read.
    void release(SimSocket& socket);
    SimSocket* find(std::uint64_t number) noexcept;

    int bind(SimSocket& socket, SimAddress address);
    int listen(SimSocket& socket, int backlog);
    bool has_listener(const SimAddress& target) const noexcept;
    // 0: under way. The socket becomes ready to write when it is connected, or has failed with an
    // error.
    int connect(SimSocket& socket, const SimAddress& target);
    // Abandons a connect that is under way.
    void abandon(SimSocket& socket);
    // The oldest connection of a listener, held for the caller; null if there is none.
    SimSocket* accept(SimSocket& listener);
    int shutdown(SimSocket& socket, int how);
    // Resets the connection from this side.
    void reset(SimSocket& socket);
    // The connection breaks: both sides are reset.
    void break_connection(SimSocket& socket);

    // 0 if bytes may be sent, up to room(). Clears an error of a tcp socket that it returns.
    int may_send(SimSocket& socket) noexcept;
    std::size_t room(const SimSocket& socket) const noexcept;
    // REQUIRES: room for them.
    void send(SimSocket& socket, std::string bytes);
    void send_lent(SimSocket& socket, std::span<const iovec> bytes, SimLender& lender);

    // The result of a receive when nothing has arrived: 0 at the end, an error, or none yet.
    std::optional<int> end_of_receiving(SimSocket& socket) noexcept;
    // Takes up to `limit` arrived bytes; drops them where `out` is null.
    std::size_t receive(SimSocket& socket, std::size_t limit, std::string* out);

    // As poll(2): true if a receive, or a send, would not wait.
    bool is_readable(const SimSocket& socket) const noexcept;
    bool is_writable(const SimSocket& socket) const noexcept;

    // Applies the current sizes of buffers and windows.
    void resize(SimSocket& socket) noexcept;

    // Makes the watcher of this socket try again, in a step of its own.
    void ready(SimSocket& socket, SimDirection direction);

private:
    // `number` is the number of bytes, or of the connect.
    using Arrival = void (SimNetwork::*)(SimSocket& socket, std::size_t number);

    void deliver(SimSocket& to, Arrival arrival, std::size_t number = 0);
    void bytes_arrive(SimSocket& socket, std::size_t bytes);
    void end_arrives(SimSocket& socket, std::size_t);
    void reset_arrives(SimSocket& socket, std::size_t);
    void refusal_arrives(SimSocket& client, std::size_t connect);
    void connection_arrives(SimSocket& client, std::size_t connect);
    void client_arrives(SimSocket& server, std::size_t);

    void retire(SimSocket& socket);
    void disconnect(SimSocket& socket);
    void stop_listening(SimSocket& listener);
    void fail_connect(SimSocket& client, int error);
    void pair(SimSocket& client, SimSocket& listener);
    SimSocket* listener_for(const SimAddress& target);
    bool has_room(const SimSocket& listener) const noexcept;
    SimSocket* waiting_client(const SimSocket::Client& client) noexcept;
    bool in_use(const SimSocket& socket, const SimAddress& address) const noexcept;
    bool bind_free_port(SimSocket& socket, SimAddress address);

    SimEvents& events_;
    SimRandom& random_;
    const Faults& faults_;
    std::map<std::uint64_t, std::unique_ptr<SimSocket>> sockets_;
    std::uint64_t made_ = 0;
    std::uint16_t next_port_ = 0;
    unsigned next_name_ = 0;
};

}  // namespace uaio
