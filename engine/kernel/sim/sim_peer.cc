#include "engine/kernel/sim/sim_peer.h"

#include "base/check.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace uaio {
namespace {

constexpr std::size_t kEverything = std::string::npos;
constexpr std::chrono::milliseconds kTick(1);
constexpr int kBacklog = 128;

}  // namespace

// --- A peer ---

void SimPeerState::connect(const SimAddress& target) {
    DCHECK(!socket_);
    socket_ = &network_.make(target.family(), *this);
    if (network_.connect(*socket_, target) < 0) release_socket(SimPeer::State::refused);
}

void SimPeerState::adopt(SimSocket& socket) {
    DCHECK(!socket_ && socket.watcher != this && socket.holders == 1);
    socket_ = &socket;
    socket.watcher = this;
}

SimPeer::State SimPeerState::state() const noexcept {
    if (!socket_ || ending_ == Ending::close) return state_;
    switch (socket_->state) {
        case SimSocket::State::connecting: return SimPeer::State::connecting;
        case SimSocket::State::connected:
            // A unix socket gets a reset as an error beside the end.
            return socket_->error == ECONNRESET ? SimPeer::State::reset : SimPeer::State::connected;
        case SimSocket::State::reset: return SimPeer::State::reset;
        case SimSocket::State::fresh:
        case SimSocket::State::listening: break;
    }
    return SimPeer::State::refused;
}

void SimPeerState::ready(SimSocket& socket, SimDirection direction) {
    if (!socket_) return;
    DCHECK(&socket == socket_);
    if (direction == SimDirection::out) return flush();
    take();
    plan_action();
}

void SimPeerState::take() {
    if (ending_ == Ending::close) return;
    const std::size_t taken = network_.receive(*socket_, allowance_, &received_);
    DCHECK(taken <= allowance_);
    if (allowance_ != kEverything) allowance_ -= taken;
    plan_tick();
}

void SimPeerState::plan_tick() {
    if (pace_ == 0 || tick_planned_ || socket_->in.arrived() == 0) return;
    tick_planned_ = true;
    world_.events.plan_after(kTick, SimEvents::Kind::progress, [this] {
        tick_planned_ = false;
        if (!socket_ || ending_ == Ending::close || pace_ == 0) return;
        network_.receive(*socket_, pace_, &received_);
        plan_action();
        plan_tick();
    });
}

void SimPeerState::plan_action() {
    if (!on_receive_ || action_planned_) return;
    action_planned_ = true;
    world_.events.plan_after({}, SimEvents::Kind::user, [this] {
        action_planned_ = false;
        if (const auto action = on_receive_) action(*peer_);
    });
}

void SimPeerState::read(std::size_t allowance, std::size_t every_millisecond) {
    allowance_ = allowance;
    pace_ = every_millisecond;
    if (socket_) network_.ready(*socket_, SimDirection::in);
}

void SimPeerState::send(std::string_view bytes) {
    if (!socket_ || ending_ != Ending::none) return;
    unsent_.append(bytes);
    flush();
}

void SimPeerState::flush() {
    DCHECK(socket_ && socket_->is_consistent());
    if (socket_->state == SimSocket::State::connecting) return;
    while (!unsent_.empty()) {
        const bool gone = socket_->state != SimSocket::State::connected || !socket_->other;
        if (gone || network_.may_send(*socket_) != 0) {
            break;
        }
        const std::size_t length = std::min(network_.room(*socket_), unsent_.size());
        if (length == 0) return;
        network_.send(*socket_, unsent_.substr(0, length));
        unsent_.erase(0, length);
    }
    std::string().swap(unsent_);  // its memory, too: a test may count that
    if (ending_ == Ending::shutdown) network_.shutdown(*socket_, SHUT_WR);
    if (ending_ == Ending::close) release_socket(SimPeer::State::closed);
}

void SimPeerState::set_window(std::size_t bytes) {
    if (!socket_) return;
    socket_->window = std::max<std::size_t>(bytes, 1);
    network_.resize(*socket_);
    if (socket_->other) network_.ready(*socket_->other, SimDirection::out);
}

void SimPeerState::shutdown_write() {
    if (!socket_ || ending_ != Ending::none) return;
    ending_ = Ending::shutdown;
    flush();
}

void SimPeerState::shutdown_read() {
    allowance_ = 0;
    pace_ = 0;
    if (socket_) network_.shutdown(*socket_, SHUT_RD);
}

void SimPeerState::close() {
    if (!socket_ || ending_ == Ending::close) return;
    state_ = SimPeer::State::closed;
    if (unread() > 0 || socket_->state == SimSocket::State::connecting) {
        return release_socket(SimPeer::State::closed);
    }
    ending_ = Ending::close;
    flush();
}

void SimPeerState::reset() {
    if (!socket_) return;
    network_.reset(*socket_);
    release_socket(SimPeer::State::closed);
}

void SimPeerState::release_socket(SimPeer::State state) {
    DCHECK(socket_ && state != SimPeer::State::connecting && state != SimPeer::State::connected);
    state_ = state;
    saw_fin_ = saw_fin();
    std::string().swap(unsent_);
    network_.release(*std::exchange(socket_, nullptr));
}

// --- A listener ---

SimListenerState::SimListenerState(SimWorld& world, SimNetwork& network, SimPeers& peers,
                                   const SimAddress& address)
    : world_(world),
      network_(network),
      all_(peers),
      socket_(&network.make(address.family(), *this)) {
    int error = network_.bind(*socket_, address);
    if (error == 0) error = network_.listen(*socket_, kBacklog);
    if (error != 0) {
        network_.release(*socket_);
        throw std::system_error(-error, std::system_category(),
                                "uaio: no simulated peer can listen on " + address.text());
    }
    port_ = socket_->local.port();
    DCHECK(port_ != 0 || socket_->is_local());
}

void SimListenerState::ready(SimSocket&, SimDirection) {
    while (socket_ && accepting_) {
        SimSocket* const accepted = network_.accept(*socket_);
        if (!accepted) return;
        SimPeer& peer = all_.adopt(*accepted, allowance_);
        accepted_.push_back(&peer);
        if (!on_accept_) continue;
        world_.events.plan_after({}, SimEvents::Kind::user, [this, &peer] {
            if (const auto action = on_accept_) action(peer);
        });
    }
}

void SimListenerState::set_window(std::size_t bytes) noexcept {
    if (socket_) socket_->window = std::max<std::size_t>(bytes, 1);
}

void SimListenerState::set_accepting(bool accepting) {
    accepting_ = accepting;
    if (socket_) network_.ready(*socket_, SimDirection::in);
}

void SimListenerState::close() {
    if (socket_) network_.release(*std::exchange(socket_, nullptr));
}

// --- All of them ---

SimPeer& SimPeers::connect(const SimAddress& target) {
    peers_.push_back(std::make_unique<SimPeer>(make_state()));
    SimPeer& peer = *peers_.back();
    SimPeerState::of(peer).connect(target);
    return peer;
}

SimPeer& SimPeers::adopt(SimSocket& socket, std::size_t allowance) {
    peers_.push_back(std::make_unique<SimPeer>(make_state()));
    SimPeer& peer = *peers_.back();
    SimPeerState::of(peer).adopt(socket);
    SimPeerState::of(peer).read(allowance, 0);
    return peer;
}

SimListener& SimPeers::listen(const SimAddress& address) {
    auto state = std::make_unique<SimListenerState>(world_, network_, *this, address);
    listeners_.push_back(std::make_unique<SimListener>(std::move(state)));
    return *listeners_.back();
}

// --- The public faces ---

SimPeer::SimPeer(std::unique_ptr<SimPeerState> state) : state_(std::move(state)) {
    state_->set_peer(*this);
}
SimPeer::~SimPeer() = default;

SimPeer::State SimPeer::state() const noexcept { return state_->state(); }
void SimPeer::send(std::string_view bytes) { state_->send(bytes); }
std::size_t SimPeer::unsent() const noexcept { return state_->unsent(); }
const std::string& SimPeer::received() const noexcept { return state_->received(); }
std::size_t SimPeer::unread() const noexcept { return state_->unread(); }
void SimPeer::read_nothing() { state_->read(0, 0); }
void SimPeer::read_everything() { state_->read(kEverything, 0); }
void SimPeer::read_more(std::size_t bytes) { state_->read(bytes, 0); }
void SimPeer::read_slowly(std::size_t bytes) { state_->read(0, bytes); }
void SimPeer::set_window(std::size_t bytes) { state_->set_window(bytes); }
void SimPeer::shutdown_write() { state_->shutdown_write(); }
void SimPeer::shutdown_read() { state_->shutdown_read(); }
void SimPeer::close() { state_->close(); }
void SimPeer::reset() { state_->reset(); }
bool SimPeer::saw_fin() const noexcept { return state_->saw_fin(); }
bool SimPeer::saw_reset() const noexcept { return state_->saw_reset(); }
void SimPeer::on_receive(std::function<void(SimPeer&)> action) {
    state_->on_receive(std::move(action));
}

SimListener::SimListener(std::unique_ptr<SimListenerState> state) : state_(std::move(state)) {}
SimListener::~SimListener() = default;

std::uint16_t SimListener::port() const noexcept { return state_->port(); }
const std::vector<SimPeer*>& SimListener::peers() const noexcept { return state_->peers(); }
void SimListener::set_window(std::size_t bytes) { state_->set_window(bytes); }
void SimListener::read_nothing() { state_->read_nothing(); }
void SimListener::on_accept(std::function<void(SimPeer&)> action) {
    state_->on_accept(std::move(action));
}
void SimListener::set_accepting(bool accepting) { state_->set_accepting(accepting); }
void SimListener::close() { state_->close(); }

}  // namespace uaio
