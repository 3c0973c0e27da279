#include "engine/kernel/sim/sim_network.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace uaio {

int SimSocket::option(int level, int name) const noexcept {
    const auto found = options.find({level, name});
    int value = 0;
    if (found != options.end() && found->second.size() >= sizeof value) {
        std::memcpy(&value, found->second.data(), sizeof value);
    }
    return value;
}

bool SimSocket::is_consistent() const noexcept {
    if (!watcher || in.under_way() > arriving) return false;
    if (other && (other->other != this || other->is_local() != is_local())) return false;
    const bool listens = state == State::listening;
    if (!listens && !(backlog.empty() && waiting_clients.empty())) return false;
    if (connect_timer && (state != State::connecting || other)) return false;
    switch (state) {
        case State::fresh: return !other;
        case State::listening: return !other && is_bound();
        case State::connecting: return connects > 0;
        case State::connected: return true;
        case State::reset: return !other && shut == (kReading | kWriting);
    }
    return false;
}

SimSocket& SimNetwork::make(int domain, SimWatcher& watcher) {
    const std::uint64_t number = ++made_;
    auto socket = std::make_unique<SimSocket>(number, domain, watcher, faults_.window);
    return *sockets_.emplace(number, std::move(socket)).first->second;
}

SimSocket* SimNetwork::find(std::uint64_t number) noexcept {
    const auto found = sockets_.find(number);
    return found == sockets_.end() ? nullptr : found->second.get();
}

void SimNetwork::release(SimSocket& socket) {
    DCHECK(socket.holders > 0 && find(socket.number) == &socket);
    if (--socket.holders == 0) retire(socket);
}

void SimNetwork::ready(SimSocket& socket, SimDirection direction) {
    bool& planned = socket.ready_planned[static_cast<int>(direction)];
    if (planned || !socket.watcher->wants(socket, direction)) return;
    planned = true;
    const std::uint64_t number = socket.number;
    events_.plan_after({}, SimEvents::Kind::progress, [this, number, direction] {
        SimSocket* const found = find(number);
        if (!found) return;
        DCHECK(found->ready_planned[static_cast<int>(direction)]);
        found->ready_planned[static_cast<int>(direction)] = false;
        found->watcher->ready(*found, direction);
    });
}

// --- Deliveries ---

// Deliveries to a socket keep their order; without a delay they arrive at once.
void SimNetwork::deliver(SimSocket& to, Arrival arrival, std::size_t number) {
    DCHECK(to.holders > 0);
    Clock::time_point time = events_.now();
    if (!to.is_local() && faults_.delay_max.count() > 0) {
        time = events_.after(random_.between(faults_.delay_min, faults_.delay_max));
    }
    time = std::max(time, to.last_arrival);
    to.last_arrival = time;
    if (time == events_.now() && to.deliveries == 0) return (this->*arrival)(to, number);
    ++to.deliveries;
    const std::uint64_t target = to.number;
    events_.plan(time, SimEvents::Kind::delivery, [this, target, arrival, number] {
        SimSocket* const found = find(target);
        if (!found) return;
        DCHECK(found->deliveries > 0);
        --found->deliveries;
        (this->*arrival)(*found, number);
    });
}

void SimNetwork::bytes_arrive(SimSocket& socket, std::size_t bytes) {
    DCHECK(bytes > 0 && bytes <= socket.arriving);
    socket.in.arrive(bytes);
    socket.arriving -= bytes;
    DCHECK(socket.is_consistent());
    ready(socket, SimDirection::in);
}

void SimNetwork::end_arrives(SimSocket& socket, std::size_t) {
    DCHECK(!socket.ended || !socket.other);
    socket.ended = true;
    ready(socket, SimDirection::in);
    if (socket.is_local()) ready(socket, SimDirection::out);
}

void SimNetwork::reset_arrives(SimSocket& socket, std::size_t) {
    if (socket.state != SimSocket::State::connected) return;
    if (socket.other) socket.other->other = nullptr;
    socket.other = nullptr;
    if (socket.is_local()) {
        // A unix socket has no resets: its end has arrived, and an error reports the loss.
        socket.error = ECONNRESET;
        socket.ended = true;
    } else {
        // As tcp_reset() in the kernel: after the peer's end it is a broken pipe.
        socket.error = socket.ended ? EPIPE : ECONNRESET;
        socket.state = SimSocket::State::reset;
        socket.shut = SimSocket::kReading | SimSocket::kWriting;
    }
    socket.in.drop_under_way();
    DCHECK(socket.is_consistent());
    ready(socket, SimDirection::in);
    ready(socket, SimDirection::out);
}

// --- Streams ---

int SimNetwork::may_send(SimSocket& socket) noexcept {
    const bool connected =
        socket.state == SimSocket::State::connected || socket.state == SimSocket::State::reset;
    if (!connected) return socket.is_local() ? -ENOTCONN : -EPIPE;
    if (socket.is_local()) {
        const bool open = socket.other && !(socket.other->shut & SimSocket::kReading);
        return open && !(socket.shut & SimSocket::kWriting) ? 0 : -EPIPE;
    }
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    return socket.shut & SimSocket::kWriting ? -EPIPE : 0;
}

std::size_t SimNetwork::room(const SimSocket& socket) const noexcept {
    // A closed socket accepts bytes until its reset reaches the sender.
    return socket.other ? socket.other->in.room() : socket.send_buffer;
}

void SimNetwork::send(SimSocket& socket, std::string bytes) {
    const std::size_t size = bytes.size();
    DCHECK(size > 0 && size <= room(socket));
    socket.bytes_sent += size;
    if (!socket.other) return deliver(socket, &SimNetwork::reset_arrives);
    socket.other->in.append(std::move(bytes));
    socket.other->arriving += size;
    deliver(*socket.other, &SimNetwork::bytes_arrive, size);
}

void SimNetwork::send_lent(SimSocket& socket, std::span<const iovec> bytes, SimLender& lender) {
    std::size_t size = 0;
    for (const iovec& part : bytes)
        size += part.iov_len;
    DCHECK(size > 0 && size <= room(socket));
    socket.bytes_sent += size;
    if (!socket.other) {
        lender.give_back(size);
        return deliver(socket, &SimNetwork::reset_arrives);
    }
    socket.other->in.append_lent(bytes, lender);
    socket.other->arriving += size;
    deliver(*socket.other, &SimNetwork::bytes_arrive, size);
}

std::optional<int> SimNetwork::end_of_receiving(SimSocket& socket) noexcept {
    const bool connected =
        socket.state == SimSocket::State::connected || socket.state == SimSocket::State::reset;
    if (!connected) return socket.is_local() ? -EINVAL : -ENOTCONN;
    const bool error_first = socket.is_local();
    if (socket.ended && !error_first) return 0;
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    if (socket.ended || socket.shut & SimSocket::kReading) return 0;
    return std::nullopt;
}

std::size_t SimNetwork::receive(SimSocket& socket, std::size_t limit, std::string* out) {
    const std::size_t taken = socket.in.take(limit, out);
    if (taken > 0 && socket.other) ready(*socket.other, SimDirection::out);
    return taken;
}

bool SimNetwork::is_readable(const SimSocket& socket) const noexcept {
    if (socket.state == SimSocket::State::listening) return !socket.backlog.empty();
    const bool over = socket.state != SimSocket::State::connected || socket.ended;
    return over || socket.error != 0 || socket.shut & SimSocket::kReading ||
           socket.in.arrived() > 0;
}

bool SimNetwork::is_writable(const SimSocket& socket) const noexcept {
    const bool over = socket.state != SimSocket::State::connected || !socket.other;
    return over || socket.error != 0 || socket.shut & SimSocket::kWriting || room(socket) > 0 ||
           socket.other->shut & SimSocket::kReading;
}

void SimNetwork::resize(SimSocket& socket) noexcept {
    if (!socket.other) return;
    SimSocket& other = *socket.other;
    other.in.set_capacity(other.window.value_or(socket.send_buffer + other.receive_buffer));
    socket.in.set_capacity(socket.window.value_or(other.send_buffer + socket.receive_buffer));
}

// --- Ends ---

int SimNetwork::shutdown(SimSocket& socket, int how) {
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
    if (socket.state == SimSocket::State::listening) {
        if (how == SHUT_WR) return 0;
        stop_listening(socket);
        socket.state = SimSocket::State::fresh;
        DCHECK(socket.is_consistent());
        ready(socket, SimDirection::in);
        return 0;
    }
    if (socket.state != SimSocket::State::connected) return socket.is_local() ? 0 : -ENOTCONN;
    if (how != SHUT_WR) {
        socket.shut |= SimSocket::kReading;
        ready(socket, SimDirection::in);
        if (socket.is_local() && socket.other) ready(*socket.other, SimDirection::out);
    }
    if (how != SHUT_RD && !(socket.shut & SimSocket::kWriting)) {
        socket.shut |= SimSocket::kWriting;
        if (socket.other) deliver(*socket.other, &SimNetwork::end_arrives);
        ready(socket, SimDirection::out);
    }
    return 0;
}

void SimNetwork::reset(SimSocket& socket) {
    if (socket.state == SimSocket::State::connecting) return abandon(socket);
    if (socket.state != SimSocket::State::connected) return;
    if (SimSocket* const other = std::exchange(socket.other, nullptr)) {
        other->other = nullptr;
        deliver(*other, &SimNetwork::reset_arrives);
    }
    socket.state = SimSocket::State::reset;
    socket.shut = SimSocket::kReading | SimSocket::kWriting;
    socket.in.drop_all();
    DCHECK(socket.is_consistent());
    ready(socket, SimDirection::in);
    ready(socket, SimDirection::out);
}

void SimNetwork::break_connection(SimSocket& socket) {
    DCHECK(socket.state == SimSocket::State::connected && socket.other);
    SimSocket* const other = socket.other;
    reset_arrives(socket, 0);
    if (other) deliver(*other, &SimNetwork::reset_arrives);
}

// close(2) by the last holder.
void SimNetwork::retire(SimSocket& socket) {
    switch (socket.state) {
        case SimSocket::State::listening: stop_listening(socket); break;
        case SimSocket::State::connecting: abandon(socket); break;
        case SimSocket::State::connected: disconnect(socket); break;
        case SimSocket::State::fresh:
        case SimSocket::State::reset: break;
    }
    socket.in.drop_all();
    // The pointers to it that it knows of.
    DCHECK(!socket.other && socket.waiting[0].empty() && socket.waiting[1].empty());
    DCHECK(socket.backlog.empty() && !socket.connect_timer);
    sockets_.erase(socket.number);
}

void SimNetwork::disconnect(SimSocket& socket) {
    SimSocket* const other = std::exchange(socket.other, nullptr);
    if (!other) return;
    other->other = nullptr;
    linger lingering{};
    const auto option = socket.options.find({SOL_SOCKET, SO_LINGER});
    if (option != socket.options.end() && option->second.size() >= sizeof lingering) {
        std::memcpy(&lingering, option->second.data(), sizeof lingering);
    }
    const bool unread = socket.in.arrived() > 0;
    const bool hard = lingering.l_onoff != 0 && lingering.l_linger == 0 && !socket.is_local();
    if (unread || hard) return deliver(*other, &SimNetwork::reset_arrives);
    if (!(socket.shut & SimSocket::kWriting) || socket.is_local()) {
        deliver(*other, &SimNetwork::end_arrives);
    }
    // Bytes still under way to this socket meet a closed one.
    if (socket.in.under_way() > 0) deliver(*other, &SimNetwork::reset_arrives);
}

}  // namespace uaio
