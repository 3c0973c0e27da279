// What many tls connections share. A Context is made once, reads its files then, and does not
// change; it may be used on all threads at once, and copies are the same context.
#pragma once

#include <uaio/config.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace uaio::tls {

class ContextCore;

enum class Version : std::uint8_t { tls_1_2, tls_1_3 };

// Of this side, in PEM (RFC 7468). Both are names of files, or text: what has "-----BEGIN "
// anywhere in it. A Context keeps neither the text of keys nor passwords, and no message quotes
// `key`, be it a text or the name of a file, or `password`.
struct Certificate {
    std::string chain = {};  // the certificate, then those between it and the authority
    std::string key = {};
    std::string password = {};  // of an encrypted key
};

struct ContextOptions {
    // --- What the peer has to show ---

    // A client verifies its server. A server asks clients for a certificate only with
    // `require_client_certificate`.
    bool verify_peer = true;
    // A client compares the certificate with ClientOptions::server_name (RFC 9525): a name with the
    // DNS entries of subjectAltName, whose wildcards stand for a whole first label, an address with
    // its IP entries. The common name of the subject proves nothing.
    bool verify_name = true;
    bool require_client_certificate = false;
    // Authorities that are trusted, in PEM: a file or text; a folder as c_rehash(1) makes it. If
    // both are empty, those of the system, which are read once in a process.
    std::string authorities = {};
    std::string authorities_folder = {};
    // Public keys of which the peer's has to be one, verified or not: "sha256//" and the base64 of
    // the SHA-256 of the key's SubjectPublicKeyInfo, as curl has it. Empty: any.
    std::vector<std::string> pins = {};

    // --- What this side shows ---

    // A server takes the first that is for the name that the client sent (RFC 6066 3), as
    // `verify_name` compares it, or else the first; of several for one name the one whose key the
    // client can use. A client takes the first.
    std::vector<Certificate> certificates = {};

    // --- What both agree on ---

    Version min_version = Version::tls_1_2;
    Version max_version = Version::tls_1_3;
    // A list of openssl-ciphers(1) for TLS 1.2; empty: forward secrecy and AEAD alone, that is
    // Mozilla's "intermediate" list of ECDHE and DHE with AES-GCM and ChaCha20-Poly1305. More is
    // allowed by naming it, such as "DEFAULT" for OpenSSL's own list.
    std::string ciphers = {};
    // The same for TLS 1.3 (SSL_CTX_set_ciphersuites(3)); empty: OpenSSL's own.
    std::string cipher_suites = {};
    // ALPN (RFC 7301), the best first; none at first. A server refuses a client that offers others.
    std::vector<std::string> protocols = {};
    // Sessions are resumed (RFC 8446 2.2, RFC 5077); kept in this context, tickets of TLS 1.3 for
    // one use each.
    bool resume = true;

    // --- How a connection behaves ---

    // Records after which a TLS 1.3 key is replaced. RFC 8446 5.5 allows 2^24.5 with AES-GCM.
    std::uint64_t records_per_key = std::uint64_t{1} << 23;
    // Messages in a row that carry no data, such as KeyUpdate, after which a peer is
    // TlsErrc::flood; at least 8, since servers send session tickets behind the handshake.
    unsigned idle_messages = 100;
    // Bytes that leave in small records, which the peer can use packet by packet, at first and
    // after a second without a write; then records are as large as they can be.
    std::size_t small_record_bytes = 64 * 1024;
    // The kernel encrypts what is sent, where it can (see offload() and Details): bytes go from the
    // user's memory into the socket, and records are as large as writes. A write that is cancelled
    // before a byte of it went out leaves no trace. Off at first: no kernel before 6.14 takes a
    // second key, so that a connection of TLS 1.3 ends with TlsErrc::key_used_up where one is due,
    // at `records_per_key` or when the peer asks; and up to a record that was counted is lost if
    // the peer does not take it within `close_timeout` of a close, or the engine ends before.
    bool offload = false;
    // How long a close waits for the peer's.
    std::chrono::nanoseconds close_timeout = std::chrono::seconds(1);

    // --- For diagnosis ---

    // A file that session secrets are appended to, in the format of NSS, so that others can decrypt
    // what was captured; empty: none. What programs take from SSLKEYLOGFILE.
    std::string key_log_file = {};
    // Called on the engine's thread with why a handshake of a Listener failed, or, for want of
    // memory, could not begin. It may destroy the Listener; it must not throw.
    std::function<void(std::error_code)> on_failure = {};
};

class Context {
public:
    // Throws std::system_error that says which option is wrong and why: a file that cannot be read,
    // a name of one with a NUL in it, a key that does not belong to its certificate or whose
    // password is wrong, an unknown cipher.
    // In a build without TLS it throws nothing, and connections end with Errc::not_supported. The
    // first one in a process initialises OpenSSL, so that exit(3) does not free what engines still
    // use on their threads (OPENSSL_INIT_NO_ATEXIT, OPENSSL_init_crypto(3)): what OpenSSL keeps
    // for the process stays reachable until its end. A program that uses OpenSSL before it makes
    // the same call first, or ends its engines before it calls exit().
    explicit Context(const ContextOptions& options = {});
    ~Context();
    Context(const Context& other) noexcept;
    Context(Context&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    Context& operator=(Context other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }

    // Handshakes that were completed by resuming a session, and all that were completed. Any
    // thread.
    std::uint64_t resumed() const noexcept;
    std::uint64_t handshakes() const noexcept;
    // Handshakes that failed. Any thread.
    std::uint64_t failures() const noexcept;

private:
    friend class ContextCore;

    ContextCore* core_;  // counts its users; null in a build without TLS
};

}  // namespace uaio::tls
