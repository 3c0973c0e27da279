// A peer of the matrix: sends and receives text over a SimPeer, here without TLS, in
// ScriptedTlsPeer with it. For the kernel's thread.
#pragma once

#include <uaio/sim.h>
#include <uaio/stream.h>
#include <uaio/tls_context.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace uaio::matrix {

class ScriptedPeer {
public:
    // `socket` must outlive it.
    explicit ScriptedPeer(SimPeer& socket) : socket_(socket) {
        socket_.on_receive([this](SimPeer&) {
            move();
            if (const auto action = action_) action();
        });
    }
    virtual ~ScriptedPeer() { socket_.on_receive({}); }
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;

    SimPeer& socket() noexcept { return socket_; }

    virtual void send(std::string_view text) { socket_.send(text); }
    // Ends its sending side, in order; it still receives.
    virtual void shutdown_write() { socket_.shutdown_write(); }
    virtual const std::string& received() const { return socket_.received(); }
    // Text can be sent and received.
    virtual bool is_ready() const { return socket_.state() == SimPeer::State::connected; }
    // The bytes that it would send next, if it was made to hold them back; empty without TLS.
    virtual std::string flight() { return {}; }

    // Called after each arrival of bytes or of the end.
    void on_receive(std::function<void()> action) { action_ = std::move(action); }
    // The other side has ended or reset the connection.
    bool saw_end() const { return socket_.saw_fin() || socket_.saw_reset(); }

protected:
    virtual void move() {}

private:
    SimPeer& socket_;
    std::function<void()> action_;
};

// The layer between the two sides.
struct Transport {
    enum class Side : unsigned char { client, server };

    bool tls = false;
    std::optional<tls::Context> context = {};  // for a client that is dialled
    // Makes the peer for this side; a held one sends nothing of its handshake by itself.
    std::function<std::unique_ptr<ScriptedPeer>(SimPeer&, Side, bool held)> peer;
    std::function<AcceptorFactory(AcceptorFactory)> acceptor;
    std::function<std::unique_ptr<Connector>(Connector&)> connector;
};

// Without TLS.
Transport plain_transport();

}  // namespace uaio::matrix
