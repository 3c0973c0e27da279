// The server's side of TLS on top of another Line, with OpenSSL between memory buffers: the script
// decides which bytes are sent together. Threads as for Line.
#pragma once

#include "tests/differential_curl/line.h"
#include "tests/support/tls/authority.h"
#include "transport/tls/openssl.h"

namespace uaio {

// The settings of the server. Made on the main thread, as certificates are.
struct TlsServer {
    tls::Certificate certificate = test_certificate();
    int max_version = TLS1_3_VERSION;
    unsigned tickets = 0;  // sent after a handshake of TLS 1.3
    bool wants_certificate = false;
    std::string selected = {};  // by ALPN, whether offered or not
};

class TlsLine final : public Line {
public:
    TlsLine(std::unique_ptr<Line> below, const TlsServer& server);

    // False if the other side ended it, or it failed.
    bool shake_hands();

    void send(std::string_view bytes) override { below_->send(encrypt(bytes)); }
    std::string receive() override;
    // Returns the records' bytes without sending them.
    std::string encrypt(std::string_view bytes);
    // Sends the closing alert.
    void send_close_notify();
    // Updates the keys of both sides.
    void update_keys();
    // TLS 1.2: requests another handshake, and begins it.
    void begin_renegotiation();
    enum class Renegotiation { going_on, done, refused };
    // Continues with the received bytes, and sends the pending ones.
    Renegotiation renegotiate();

    Line& below() { return *below_; }
    SocketLine& socket_line() { return static_cast<SocketLine&>(*below_); }  // if it is one

private:
    // Encrypted bytes that were not sent.
    std::string take_records();
    void flush();
    // Waits for more from below; false at its end.
    bool feed();

    std::unique_ptr<Line> below_;
    std::string selected_;
    tls::SslPtr ssl_;
};

}  // namespace uaio
