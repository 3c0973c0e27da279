// HTTPS servers in processes of their own, with the same key and the same file, and one client for
// both. Failures throw std::system_error or std::runtime_error. One thread.
#pragma once

#include "bench/support/loopback.h"
#include "bench/support/server_process.h"
#include "transport/tls/openssl.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace uaio::bench {

// Size of the file /bulk.bin.
inline constexpr std::size_t kServedBytes = std::size_t{64} << 20;

// Starts "uaio", which is server_uaio beside this program, or "nginx" with one process; throws
// Unavailable if nginx is not installed.
std::unique_ptr<ServerProcess> start_tls_server(const std::string& name);

// A connection to one of them, with OpenSSL on a blocking socket.
class TlsClient {
public:
    // Makes a handshake that resumes `session`, or a full one.
    explicit TlsClient(std::uint16_t port, SSL_SESSION* session = nullptr);

    bool resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }
    // Sends close_notify and reads to the end of the server's data; returns a session to resume, if
    // the server sent a ticket.
    tls::SessionPtr finish();

    // Requests /bulk.bin and drops that many bytes of ciphertext inside the kernel.
    void download();

private:
    Descriptor socket_;
    tls::SslPtr ssl_;
};

}  // namespace uaio::bench
