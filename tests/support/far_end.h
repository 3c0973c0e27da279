// The other end of a ConnectionFixture: a plain socket, or a peer of a simulated kernel, with the
// same interface for step-by-step tests. For one thread.
#pragma once

#include <uaio/sim.h>

#include "tests/support/raw_peer.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace uaio {

class FarEnd {
public:
    using End = RawPeer::End;

    explicit FarEnd(RawPeer socket) : socket_(std::move(socket)) {}
    FarEnd(SimKernel& kernel, SimPeer& peer) : kernel_(&kernel), peer_(&peer) {
        peer.read_nothing();
    }

    // REQUIRES: it is a socket.
    RawPeer& socket() { return *socket_; }
    int fd() const { return socket_->fd(); }

    // As the members of RawPeer.
    std::size_t unread() const { return socket_ ? socket_->unread() : peer_->unread(); }
    std::size_t read_some(std::size_t limit = RawPeer::kEverything);
    const std::string& received() const {
        return socket_ ? socket_->received() : peer_->received();
    }
    End end() const { return socket_ ? socket_->end() : end_; }
    void send(std::string_view bytes) { socket_ ? socket_->send(bytes) : peer_->send(bytes); }
    std::size_t send_some(std::string_view bytes);
    void shutdown_write() { socket_ ? socket_->shutdown_write() : peer_->shutdown_write(); }
    void shutdown_read() { socket_ ? socket_->shutdown_read() : peer_->shutdown_read(); }
    void close() { socket_ ? socket_->close() : peer_->close(); }
    void reset() { socket_ ? socket_->reset() : peer_->reset(); }
    bool writable() const { return socket_ ? socket_->writable() : peer_->unsent() == 0; }

private:
    std::optional<RawPeer> socket_;
    SimKernel* kernel_ = nullptr;
    SimPeer* peer_ = nullptr;
    End end_ = End::open;
};

}  // namespace uaio
