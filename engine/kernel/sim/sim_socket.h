// The state of one socket in the simulated network. Only SimNetwork changes the state of a
// connection; other classes read it and keep their own lists here. For the kernel's thread.
#pragma once

#include "engine/kernel/sim/sim_address.h"
#include "engine/kernel/sim/sim_channel.h"
#include "engine/kernel/sim/sim_events.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace uaio {

struct SimSocket;
struct SimOperation;

enum class SimDirection : std::uint8_t { in, out };

// Notified when a socket may go on: the operations of the ring, or a peer.
class SimWatcher {
public:
    // False if ready() would do nothing now.
    virtual bool wants(const SimSocket& socket, SimDirection direction) const noexcept = 0;
    // Bytes, a connection or an end have arrived (in); there is room, a connect is over, or nothing
    // can be sent any more (out).
    virtual void ready(SimSocket& socket, SimDirection direction) = 0;

protected:
    ~SimWatcher() = default;
};

struct SimSocket {
    enum class State : std::uint8_t { fresh, listening, connecting, connected, reset };

    // The directions that this side has shut down.
    static constexpr unsigned kReading = 1;
    static constexpr unsigned kWriting = 2;

    SimSocket(std::uint64_t own_number, int own_domain, SimWatcher& own_watcher,
              std::size_t capacity)
        : number(own_number),
          domain(own_domain),
          watcher(&own_watcher),
          send_buffer(capacity / 2),
          receive_buffer(capacity - capacity / 2),
          in(capacity) {}

    const std::uint64_t number;  // never reused, unlike the address and the descriptor
    const int domain;
    SimWatcher* watcher;

    State state = State::fresh;
    SimAddress local;
    SimAddress remote;
    unsigned holders = 1;  // its maker, its descriptor, its operations; it closes with the last
    unsigned shut = 0;
    int error = 0;  // an errno that the next call reports, as SO_ERROR
    std::map<std::pair<int, int>, std::vector<std::byte>> options;  // by level and name

    // A connection. Bytes and ends arrive in the order in which they were sent.
    SimSocket* other = nullptr;  // null once it is gone
    std::size_t send_buffer;
    std::size_t receive_buffer;
    std::optional<std::size_t> window;  // in place of the two buffers
    SimChannel in;
    std::size_t arriving = 0;  // bytes of the deliveries to `in`; those dropped meanwhile count
    bool ended = false;        // the other side's end has arrived
    Clock::time_point last_arrival{};
    unsigned deliveries = 0;  // on their way to here
    std::uint64_t bytes_sent = 0;

    // A listener, and the clients that wait for it.
    std::size_t backlog_limit = 0;
    std::size_t backlog_reserved = 0;  // connections under way to the backlog
    std::deque<SimSocket*> backlog;
    struct Client {
        std::uint64_t number;
        std::size_t connect;  // its `connects` at that time
    };
    std::deque<Client> waiting_clients;
    std::uint64_t listener = 0;  // the listener whose backlog this one joins
    std::size_t connects = 0;    // begun by this one
    std::optional<SimEvents::Key> connect_timer;

    // Operations that wait, in the order of their turns; by direction.
    std::deque<SimOperation*> waiting[2];
    bool ready_planned[2] = {false, false};

    bool is_local() const noexcept { return domain == AF_UNIX; }
    bool is_bound() const noexcept { return local.family() != AF_UNSPEC; }
    // True if both sides of a connection name each other, bytes under way have a delivery, and each
    // member has a value that the state allows.
    bool is_consistent() const noexcept;
    // The value of an option of type int, 0 if it was never set.
    int option(int level, int name) const noexcept;
};

}  // namespace uaio
