// The remote ends of simulated connections: the implementation of SimPeer and SimListener. For the
// kernel's thread.
#pragma once

#include <uaio/sim.h>

#include "engine/kernel/sim/sim_network.h"
#include "engine/kernel/sim/sim_world.h"

#include <memory>
#include <string>
#include <vector>

namespace uaio {

class SimPeerState final : public SimWatcher {
public:
    SimPeerState(SimWorld& world, SimNetwork& network) noexcept
        : world_(world), network_(network) {}

    static SimPeerState& of(SimPeer& peer) noexcept { return *peer.state_; }
    void set_peer(SimPeer& peer) noexcept { peer_ = &peer; }
    // connect() begins a connect; adopt() takes a connection of a listener, which is held already.
    void connect(const SimAddress& target);
    void adopt(SimSocket& socket);

    bool wants(const SimSocket&, SimDirection) const noexcept override { return true; }
    void ready(SimSocket& socket, SimDirection direction) override;

    SimPeer::State state() const noexcept;
    bool saw_fin() const noexcept { return saw_fin_ || (socket_ && socket_->ended); }
    bool saw_reset() const noexcept { return state() == SimPeer::State::reset; }
    const std::string& received() const noexcept { return received_; }
    std::size_t unread() const noexcept { return socket_ ? socket_->in.arrived() : 0; }
    std::size_t unsent() const noexcept { return unsent_.size(); }

    void send(std::string_view bytes);
    void read(std::size_t allowance, std::size_t every_millisecond);
    void set_window(std::size_t bytes);
    void shutdown_write();
    void shutdown_read();
    void close();
    void reset();
    void on_receive(std::function<void(SimPeer&)> action) { on_receive_ = std::move(action); }

private:
    // The step after all sent bytes have left.
    enum class Ending : std::uint8_t { none, shutdown, close };

    void take();
    void plan_tick();
    void flush();
    void release_socket(SimPeer::State state);
    void plan_action();

    SimWorld& world_;
    SimNetwork& network_;
    SimPeer* peer_ = nullptr;
    SimSocket* socket_ = nullptr;                        // held, until released
    SimPeer::State state_ = SimPeer::State::connecting;  // once there is no socket
    Ending ending_ = Ending::none;
    bool saw_fin_ = false;
    std::string received_;
    std::string unsent_;
    std::size_t allowance_ = std::string::npos;  // bytes that may be read at once
    std::size_t pace_ = 0;                       // bytes to be read each millisecond
    bool tick_planned_ = false;
    bool action_planned_ = false;
    std::function<void(SimPeer&)> on_receive_;
};

// All peers and listeners of one kernel.
class SimPeers {
public:
    SimPeers(SimWorld& world, SimNetwork& network) noexcept : world_(world), network_(network) {}

    SimPeer& connect(const SimAddress& target);
    SimListener& listen(const SimAddress& address);
    SimPeer& adopt(SimSocket& socket, std::size_t allowance);

private:
    std::unique_ptr<SimPeerState> make_state() {
        return std::make_unique<SimPeerState>(world_, network_);
    }

    SimWorld& world_;
    SimNetwork& network_;
    std::vector<std::unique_ptr<SimPeer>> peers_;
    std::vector<std::unique_ptr<SimListener>> listeners_;
};

class SimListenerState final : public SimWatcher {
public:
    SimListenerState(SimWorld& world, SimNetwork& network, SimPeers& peers,
                     const SimAddress& address);

    bool wants(const SimSocket&, SimDirection) const noexcept override { return true; }
    void ready(SimSocket& socket, SimDirection direction) override;

    std::uint16_t port() const noexcept { return port_; }
    const std::vector<SimPeer*>& peers() const noexcept { return accepted_; }
    void set_window(std::size_t bytes) noexcept;
    void read_nothing() noexcept { allowance_ = 0; }
    void on_accept(std::function<void(SimPeer&)> action) { on_accept_ = std::move(action); }
    void set_accepting(bool accepting);
    void close();

private:
    SimWorld& world_;
    SimNetwork& network_;
    SimPeers& all_;
    SimSocket* socket_;
    std::uint16_t port_ = 0;
    bool accepting_ = true;
    std::size_t allowance_ = std::string::npos;
    std::vector<SimPeer*> accepted_;
    std::function<void(SimPeer&)> on_accept_;
};

}  // namespace uaio
