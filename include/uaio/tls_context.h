// A Context holds the settings that many tls connections share: trust, certificates, versions,
// sessions. It reads its files when it is made (folders of authorities when they are needed) and
// does not change; all threads may use it at once, and copies are the same context.
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

// RFC 5246 and RFC 8446. Earlier versions are not supported (RFC 8996).
enum class Version : std::uint8_t { tls_1_2, tls_1_3 };

// A certificate of this side and its private key, in PEM (RFC 7468). Both are names of files, or
// text: a string with "-----BEGIN " anywhere in it. A Context keeps neither the text of keys nor
// passwords; no message quotes `password`, or `key`, whether it is text or the name of a file.
struct Certificate {
    std::string chain = {};     // the certificate, then those between it and the authority
    std::string key = {};       // RSA of 2048 bits or more, ECDSA or EdDSA
    std::string password = {};  // of an encrypted key; OpenSSL never asks at the terminal
};

// The options of a Context; its constructor checks them.
struct ContextOptions {
    // --- Peer verification ---

    // A client verifies its server's certificate (RFC 5280): else the handshake ends with a TlsErrc
    // that names the reason. Revocation is not checked. A server asks clients for a certificate
    // only with `require_client_certificate`.
    bool verify_peer = true;
    // A client compares the certificate with ClientOptions::server_name (RFC 9525): a name with the
    // DNS entries of subjectAltName, whose wildcards stand for a whole first label, an address with
    // its IP entries. The common name of the subject is ignored.
    bool verify_name = true;
    // A server asks each client for a certificate, verifies it, and ends the handshake with
    // TlsErrc::certificate_missing if there is none. Names in it are not checked: see
    // Details::peer.
    bool require_client_certificate = false;
    // Trusted authorities in PEM: `authorities` is a file or text, `authorities_folder` a folder as
    // c_rehash(1) makes it, of which OpenSSL opens files during handshakes, on the engine's thread.
    // If both are empty, those of the system, which are read once in a process:
    // SSL_CTX_set_default_verify_paths(3), with the variables SSL_CERT_FILE and SSL_CERT_DIR. A
    // server names `authorities` to its clients.
    std::string authorities = {};
    std::string authorities_folder = {};
    // Public keys of which the peer's must be one, verified or not: "sha256//" and the base64 of
    // the SHA-256 of the key's SubjectPublicKeyInfo, as CURLOPT_PINNEDPUBLICKEY has it. Else the
    // handshake ends with TlsErrc::certificate_not_pinned. Empty: any.
    std::vector<std::string> pins = {};

    // --- Certificates of this side ---

    // A server needs at least one, or each handshake ends with TlsErrc::no_common_cipher. It takes
    // the first that is for the name that the client sent (RFC 6066 3), as `verify_name` compares
    // it, or else the first; of several for one name the one whose key the client can use. A client
    // sends the first, if the server asks for one.
    std::vector<Certificate> certificates = {};

    // --- Negotiation ---

    // Else TlsErrc::no_common_version.
    Version min_version = Version::tls_1_2;
    Version max_version = Version::tls_1_3;
    // A list of openssl-ciphers(1) for TLS 1.2; empty: forward secrecy and AEAD alone, that is
    // Mozilla's "intermediate" list of ECDHE and DHE with AES-GCM and ChaCha20-Poly1305. More is
    // allowed by naming it, such as "DEFAULT" for OpenSSL's own list.
    std::string ciphers = {};
    // The same for TLS 1.3 (SSL_CTX_set_ciphersuites(3)); empty: OpenSSL's own.
    std::string cipher_suites = {};
    // ALPN (RFC 7301), the best first, each of 1 to 255 bytes; none at first. A server whose list
    // has none in common with a client's ends the handshake with TlsErrc::no_common_protocol; a
    // client that offers none gets none. Details::protocol has the result.
    std::vector<std::string> protocols = {};
    // Sessions are resumed (RFC 8446 2.2, RFC 5077), with tickets: a server keeps nothing, and the
    // tickets of one context are of no use to another or after a restart. A client keeps them in
    // this context, for 1024 places of ClientOptions::server_name and session_key, the last four of
    // TLS 1.3 for one use each (RFC 8446 C.4).
    bool resume = true;

    // --- Behaviour of connections ---

    // Records after which this side replaces its TLS 1.3 key by KeyUpdate (RFC 8446 4.6.3). RFC
    // 8446 5.5 allows 2^24.5 with AES-GCM. TLS 1.2 keeps its key.
    std::uint64_t records_per_key = std::uint64_t{1} << 23;
    // Messages in a row that carry no data, such as KeyUpdate, after which a peer is
    // TlsErrc::flood; at least 8, since servers send session tickets behind the handshake.
    unsigned idle_messages = 100;
    // Dynamic record sizing: the first bytes of a connection, and of each burst after 1 s of
    // idleness, up to this number, are sent in records of 1360 bytes, which fit into a packet, so
    // that the peer need not wait for a whole one; later records have up to 16 KiB.
    std::size_t small_record_bytes = 64 * 1024;
    // The kernel encrypts sent bytes, where it can (see offload() and Details): bytes go from the
    // user's memory into the socket, and records are as large as writes. A write that is cancelled
    // before a byte of it went out has no effect. Off at first: no kernel before 6.14 takes a
    // second key, so that a connection of TLS 1.3 ends with TlsErrc::key_used_up where one is due,
    // at `records_per_key` or when the peer asks; and up to a record that was counted is lost if
    // the peer does not take it within `close_timeout` of a close, or the engine ends before. Linux
    // 4.13 and the module tls; see docs/tls_contract.md.
    bool offload = false;
    // The time for which close() keeps the stream below open for the peer's closing alert, and for
    // unsent records; it does not delay close() itself. Zero or less: not at all.
    std::chrono::nanoseconds close_timeout = std::chrono::seconds(1);

    // --- For diagnosis ---

    // A file that session secrets are appended to, in the format of NSS (SSLKEYLOGFILE), so that
    // wireshark(1) can decrypt captured traffic; empty: none. Made with mode 0600: its readers can
    // decrypt the connections.
    std::string key_log_file = {};
    // Called on the engine's thread with the error of each handshake of a Listener that failed, or
    // could not begin for lack of memory: a TlsErrc, Errc::truncated, timed_out or
    // not_enough_memory, or an error of the stream below. It may destroy the Listener; it must not
    // throw.
    std::function<void(std::error_code)> on_failure = {};
};

// A handle: copying it costs an atomic increment, and connections hold the context as long as they
// need it. One that was moved from may only be destroyed and assigned to.
class Context {
public:
    // Throws std::system_error whose what() names the option and the reason: with the errno of
    // open(2) for a file that cannot be read, else with ArgumentErrc::invalid_option, for a name
    // with a NUL in it, a key that does not belong to its certificate or whose password is wrong,
    // an unknown cipher, a malformed pin or certificate. Throws std::bad_alloc. Reads files and
    // parses certificates on the calling thread: make contexts before the engine is busy.
    //
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

    // Counts of this context, on all engines: handshakes that were completed by resuming a session,
    // and all that were completed. 0 in a build without TLS. Any thread.
    std::uint64_t resumed() const noexcept;
    std::uint64_t handshakes() const noexcept;
    // Handshakes that failed, for any reason, a deadline included. Any thread.
    std::uint64_t failures() const noexcept;

private:
    friend class ContextCore;

    ContextCore* core_;  // counts its users; null in a build without TLS
};

}  // namespace uaio::tls
