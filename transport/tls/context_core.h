// The shared state of a Context: OpenSSL's SSL_CTX, created once from the options, and what it does
// not store itself. Lives as long as a Context or a connection holds a reference. Any thread.
#pragma once

#include <uaio/tls.h>

#include "base/check.h"
#include "transport/tls/certificates.h"
#include "transport/tls/openssl.h"
#include "transport/tls/session_cache.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace uaio::tls {

// SHA-256 of a SubjectPublicKeyInfo.
using Pin = std::array<unsigned char, 32>;

class ContextCore {
public:
    // Throws as Context() does.
    explicit ContextCore(const ContextOptions& options);
    ContextCore(const ContextCore&) = delete;
    ContextCore& operator=(const ContextCore&) = delete;

    static ContextCore& of(const Context& context) noexcept { return *context.core_; }
    // REQUIRES: another reference.
    void retain() noexcept {
        [[maybe_unused]] const auto users = users_.fetch_add(1, std::memory_order_relaxed);
        DCHECK(users > 0);
    }
    void release() noexcept {
        const auto users = users_.fetch_sub(1, std::memory_order_acq_rel);
        DCHECK(users > 0);
        if (users == 1) delete this;
    }

    const ContextOptions& options() const noexcept { return options_; }
    SessionCache& sessions() noexcept { return sessions_; }

    // Creates the SSL of a server's connection. Null without memory.
    SslPtr make_server() noexcept;
    // Creates the SSL of a client's connection. `session_key` must outlive it; empty means no
    // resumption. Sets `valid` to false for an invalid server name. Null without memory.
    SslPtr make_client(const ClientOptions& options, const std::string& session_key,
                       bool& valid) noexcept;
    // Checks the peer's key against the pins; no error without pins.
    [[nodiscard]] std::error_code check_pins(const SSL* ssl) const noexcept;

    void count_handshake(bool resumed) noexcept {
        handshakes_.fetch_add(1, std::memory_order_relaxed);
        if (resumed) resumed_.fetch_add(1, std::memory_order_relaxed);
    }
    void count_failure() noexcept { failures_.fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t handshakes() const noexcept { return handshakes_; }
    std::uint64_t resumed() const noexcept { return resumed_; }
    std::uint64_t failures() const noexcept { return failures_; }

private:
    ~ContextCore();

    void set_versions();
    void set_ciphers();
    void set_authorities();
    void set_protocols();
    void set_sessions();
    void set_pins();
    void open_key_log();

    static int choose_certificate(SSL* ssl, void* core) noexcept;
    static int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* size,
                               const unsigned char* offered, unsigned offered_size,
                               void* core) noexcept;
    static int keep_session(SSL* ssl, SSL_SESSION* session) noexcept;
    static void log_key(const SSL* ssl, const char* line) noexcept;

    ContextOptions options_;  // the constructor clears `certificates`
    SslContextPtr context_;
    std::vector<LoadedCertificate> certificates_;
    std::vector<Pin> pins_;
    std::string protocols_;  // in ALPN's format: each after its length
    SessionCache sessions_;
    int key_log_ = -1;
    std::atomic<std::uint32_t> users_{1};
    std::atomic<std::uint64_t> handshakes_{0};
    std::atomic<std::uint64_t> resumed_{0};
    std::atomic<std::uint64_t> failures_{0};
};

}  // namespace uaio::tls
