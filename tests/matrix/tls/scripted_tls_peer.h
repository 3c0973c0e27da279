// The TLS transport of the matrix: peers that speak TLS by OpenSSL in memory over a SimPeer, so
// that a test may stop, cut or replace any byte of it. For the kernel's thread.
#pragma once

#include "tests/matrix/scripted_peer.h"
#include "transport/tls/openssl.h"

#include <string>
#include <string_view>

namespace uaio::matrix {

class ScriptedTlsPeer final : public ScriptedPeer {
public:
    ScriptedTlsPeer(SimPeer& socket, Transport::Side side, bool held);
    ~ScriptedTlsPeer() override;

    // Sends after the end of the handshake.
    void send(std::string_view text) override;
    // Sends the closing alert and shuts the socket's sending side down.
    void shutdown_write() override;
    const std::string& received() const override { return received_; }
    bool is_ready() const override { return SSL_is_init_finished(ssl_) == 1; }
    std::string flight() override;

protected:
    void move() override;

private:
    void flush();

    SSL* ssl_;
    BIO* in_;
    BIO* out_;
    const bool held_;
    std::size_t taken_ = 0;  // of what the socket received
    std::string unsaid_;
    std::string received_;
};

// TLS 1.3, or the version named, between the library and ScriptedTlsPeers.
Transport tls_transport();

}  // namespace uaio::matrix
