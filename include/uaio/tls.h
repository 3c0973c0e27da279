// TLS 1.2 and 1.3 over any stream (RFC 5246, RFC 8446), with OpenSSL 3 below. A Context holds the
// settings that many connections share: trust, certificates, versions, sessions. connect() and
// accept() make a tls stream out of one below; Listener and Connector do that over acceptors and
// connectors. The streams keep the contract of <uaio/stream.h>; connect() says what TLS adds to it.
// Encryption runs on the engine's thread. In a build without TLS (kTls is false) every verb here
// ends with Errc::not_supported. Any thread, unless a member says otherwise.
#pragma once

#include <uaio/stream.h>
#include <uaio/tls_context.h>
#include <uaio/tls_error.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace uaio::tls {

class ListenerCore;

// The options of one connection of a client.
struct ClientOptions {
    // The DNS name or the IP address that the server's certificate must match (RFC 9525). A name
    // consists of labels of 1 to 63 letters, digits, hyphens and underscores, 253 bytes in all; an
    // internationalised one is given in its form of "xn--". It is also sent (SNI, RFC 6066 3),
    // without a dot at its end. An address may have a zone ("fe80::1%eth0"), and is also what
    // inet_aton(3) takes for one, such as "127.1". Empty: nothing is sent. connect() refuses
    // everything else, and an empty one where the context verifies names, with
    // ArgumentErrc::invalid_server_name, before it sends a byte.
    std::string server_name = {};
    // Distinguishes servers with the same name for session resumption, such as the port: a
    // session is resumed only for the same server_name and session_key. Without a server_name none
    // is.
    std::string session_key = {};
};

// Makes a tls stream by the client's side of a handshake over `below`, which it takes over, and
// puts it into `out`, which must live until the callback and is untouched after an error; `below`
// is closed then. The Aio must be of the engine of `below` (ArgumentErrc::wrong_engine); its
// deadline and cancel hold for the handshake, its buffers are not used, and count() is 0. The
// context may be destroyed before the stream, and `options` are copied. Without a deadline a silent
// peer holds the handshake for ever.
//
// Errors: a TlsErrc, such as certificate_name_mismatch or no_common_version; Errc::truncated if
// `below` ended inside the handshake; the errors of `below`, such as connection_reset;
// Errc::canceled, timed_out, closed; ArgumentErrc::no_stream and invalid_server_name, before a byte
// is sent; Errc::not_enough_memory. Allocates about 20 KiB a connection, of which OpenSSL's record
// buffers are given back while it is idle. A server that refuses this side's certificate in TLS 1.3
// reports this after the handshake: the first read ends with the error (RFC 8446 4.4.2.4).
//
// Counts: of plain bytes, in whole records. A write that is cancelled, expires or fails counts the
// bytes of the records that `below` took whole, and none of its bytes leave after its callback.
// Encrypted records cannot be taken back, so such a write, once its turn has come, ends the stream
// even if no byte of it went out (the one difference to Stream::write_all); while it waits behind
// another it has no effect. Writes that wait take their turn together, as far as they fit whole
// behind the first into 256 KiB; they may share records. write() takes one record at most, 16 KiB,
// and completes when `below` has taken the first byte of it: the rest is sent before anything else,
// and before the closing alert. A read that is cancelled or expires loses nothing.
//
// Ends: reading ends with end_of_stream after the peer's closing alert, and with Errc::truncated if
// bytes end without it, as an attacker can make them (RFC 8446 6.1); both are sticky. So is a
// TlsErrc while reading or writing, in both directions. close() sends the closing alert, if no
// write was cut short, and closes `below` when the peer has closed, at the latest after
// ContextOptions::close_timeout; the engine's end does not wait for that. Where the kernel
// encrypts, ContextOptions::offload says what differs.
void connect(const Context& context, StreamPtr below, const ClientOptions& options, Aio& aio,
             StreamPtr& out) noexcept;

// The same for the server's side, with a context that has a certificate. It keeps no state of TLS,
// which takes 20 KiB and more, before the peer's first byte. With
// ContextOptions::require_client_certificate the handshake ends behind the client's certificate.
void accept(const Context& context, StreamPtr below, Aio& aio, StreamPtr& out) noexcept;

// The result of a handshake.
struct Details {
    std::string version;      // "TLSv1.3"
    std::string cipher;       // as OpenSSL names it: "TLS_AES_256_GCM_SHA384"
    std::string protocol;     // by ALPN; empty if none
    std::string server_name;  // that the client sent, without a dot at its end; empty if none, or
                              // if it is no DNS name (see ClientOptions::server_name)
    std::string peer;         // subject of the peer's certificate, RFC 2253; empty without one
    bool resumed = false;     // from an earlier session
    bool offloaded = false;   // the kernel encrypts sent bytes; decided before the first one
    std::string offload_reason;  // empty if it does
};

// Those of a stream that connect(), accept(), a Listener or a Connector made; all empty for another
// stream, such as one that stacks on it. Allocates; throws std::bad_alloc. On the engine's thread.
Details details(const Stream& stream);

// Whether the kernel can encrypt for sockets (kTLS, Documentation/networking/tls.rst), and the
// reason in a sentence. The text lives as long as the program.
struct Offload {
    bool available = false;
    std::string_view reason;
};
// Tries it once in a process, on a connection over the loopback, which may load the module tls;
// later calls return the same.
Offload offload() noexcept;

struct ListenerOptions {
    // From accepting a connection to the end of its handshake; then the connection is closed, which
    // is a failure with Errc::timed_out. kNoTimeout: no limit.
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(10);
    // Connections whose handshake has not ended, or that wait for an accept(), at least 1. At the
    // limit the oldest one that has sent nothing for 10 ms since its accept makes room, or, if all
    // have sent something, the oldest one whose handshake takes longer than 1 s; it fails with
    // Errc::timed_out. Until there is one, new connections wait in the acceptor below.
    std::size_t handshakes = 1024;
};

// Accepts tls streams over another acceptor. Handshakes run beside each other, so that slow and
// silent clients never delay others; one that fails is counted (Context::failures()), passed to
// ContextOptions::on_failure, and does not end an accept(). A connection of this library's
// sockets that has not sent a byte takes 2 KiB of memory.
class Listener final : public Acceptor {
public:
    // Takes over `below`, which accepts on `engine`. Throws std::bad_alloc, std::invalid_argument
    // without `below` or for one of another engine, and std::system_error (Errc::engine_lost) after
    // the engine's end.
    Listener(Engine& engine, std::unique_ptr<Acceptor> below, const Context& context,
             const ListenerOptions& options = {});
    // As close(); returns when the acceptor below is closed and its address free, see
    // tcp::Listener.
    ~Listener() override;

    // As Acceptor::accept(), with a stream whose handshake is done. While no accept() is pending,
    // no connection is taken from the acceptor below, so its clients get no answer. Errors beside
    // those of Acceptor::accept(): those of the acceptor below, which end all pending accepts.
    void accept(Aio& aio, StreamPtr& out) override;
    // As Acceptor::close(); handshakes that have not ended, and streams that no accept() has taken,
    // are closed, too.
    void close() noexcept override;
    Engine* engine() const noexcept override;

private:
    ListenerCore* core_;
};

// An AcceptorFactory for servers on several engines: makes a Listener over the acceptor that
// `below` makes on each. Throws what `below` and Listener's constructor throw.
AcceptorFactory acceptor(AcceptorFactory below, const Context& context,
                         const ListenerOptions& options = {});

// Makes tls connections over those that another connector makes, such as tcp::Connector, for
// http::Client. A Dialer does the same with names and proxies.
class Connector final : public uaio::Connector {
public:
    // `below` must outlive it and its connects: each until its callback. Streams do not need it.
    Connector(uaio::Connector& below, const Context& context, ClientOptions options)
        : below_(below), context_(context), options_(std::move(options)) {}

    // As uaio::Connector::connect(). The Aio's deadline and cancel hold for both, connecting and
    // handshake. Errors: those of `below` and of tls::connect(). Allocates.
    void connect(Aio& aio, StreamPtr& out) override;

    // Secure, at ClientOptions::server_name and the port of `below`, which is 0, not known, for a
    // tcp::Connector. `secure` also where the context does not verify.
    Origin origin() const noexcept override {
        return {true, options_.server_name, below_.origin().port};
    }

private:
    uaio::Connector& below_;
    Context context_;
    ClientOptions options_;
};

}  // namespace uaio::tls
