// A Stream is a connected, reliable, ordered flow of bytes in both directions: tcp, unix, TLS, a
// tunnel through a proxy. All have the same verbs on Aios, so that they stack. Acceptors and
// Connectors make streams.
//
// The contract of every stream: verbs return at once and may be called from any thread; the Aio's
// engine must be the stream's, or the operation ends with ArgumentErrc::wrong_engine. Operations of
// one direction run one at a time in submission order, the directions independently of each other.
// Checks come in this order: stopped Aio (Errc::canceled), closed stream (Errc::closed), buffers
// (Errc::invalid_argument), time (Errc::timed_out), then the queue (Errc::no_buffer_space beyond
// StreamOptions::queue_limit). An iovec list with no entries, an entry with a length but no
// address, or a total over SSIZE_MAX is Errc::invalid_argument, and nothing happens to the stream;
// entries of length zero are skipped, and a list of nothing else succeeds with count 0 when its
// turn comes. An operation cancelled or expired in the queue has no effect. The library does not
// check other addresses: a socket's stream ends with EFAULT for a bad one, where the kernel copies
// the bytes, but TLS, and HTTP for what it has buffered, access them in the process (SIGSEGV).
//
// On the engine's thread a verb of a socket's stream allocates nothing, takes no lock and makes no
// system call: the engine submits once a turn. On another thread, a write of at most 32 KiB by
// an Aio without a callback, to a socket on which no write is pending, is sent by sendmsg(2),
// without waiting, in the verb (EngineStatistics::direct_writes). Aio and bytes belong to the
// operation until the callback.
//
// After its engine's destructor every verb of a stream or acceptor ends with Errc::closed, by a
// callback on the Aio's engine, which is another one.
//
// In a child of fork(2) a stream, acceptor or connector of the parent does nothing: operations are
// refused (Errc::engine_lost, see <uaio/engine.h>), and close() and the destructor close the
// child's copy of the descriptor, by close(2) alone, which the connection does not notice.
#pragma once

#include <uaio/aio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace uaio {

// Whether the kernel sends from the user's memory instead of a copy (IORING_OP_SEND_ZC and
// SENDMSG_ZC, Linux 6.1; MSG_ZEROCOPY in Documentation/networking/msg_zerocopy.rst). The Aio of
// such a write completes when the kernel gives the bytes back, which may be as late as the peer's
// acknowledgement; until then a cancel or a deadline has no effect. The next write does not wait
// for that. EngineStatistics counts these sends, and those that the kernel copied after all.
//
// With all values the library copies small writes, which may leave gathered, and copies where the
// engine runs on epoll, on kernels before 6.1, over unix sockets and kTLS, after an ENOMEM, and
// while half of the memory that the process may lock (RLIMIT_MEMLOCK) is lent to such sends of one
// engine.
enum class ZeroCopy {
    off,  // copies
    on,   // every write of 8 KiB and more
    // Each write of `zero_copy_bytes`, a build option, and more, without a deadline, with 4 KiB or
    // more for each entry, on a connection where that pays: to another host (the loopback always
    // copies), while the kernel reports that it does not copy (Linux 6.2), and while the stream
    // does not stand idle because the program waits for acknowledgements. After such a wait, an
    // ENOMEM or a report of a copy, the next 32 large writes are copied before it tries again, and
    // twice as many each time.
    automatic,
};

class Stream {
public:
    // Closes it as close() does; operations still pending end with Errc::closed by their callbacks,
    // which may run after the destructor has returned. Does not wait. Any thread, also inside a
    // callback of the stream's own, and after the engine's end.
    virtual ~Stream() = default;

    // Reads at least one byte, at most as many as the buffers hold, and completes with what one
    // receive gives. Errc::end_of_stream with count 0 when the peer has finished sending;
    // Errc::connection_reset when it has reset the connection; an errno such as ETIMEDOUT, when TCP
    // gives up (tcp(7)). All three are sticky: each later read ends with the same. Every other read
    // that fails, is cancelled or expires leaves the stream usable. A layer above a socket adds
    // errors of its own, such as a TlsErrc or Errc::truncated.
    virtual void read(Aio& aio) = 0;
    // Reads until the buffers are full. If an error, a cancel, the deadline or the end of the
    // stream comes first, count() bytes are at the front of the buffers, and later reads continue
    // behind them.
    virtual void read_all(Aio& aio) = 0;
    // Writes at least one byte, at most as many as the buffers hold. Errors and their effects: as
    // for write_all().
    virtual void write(Aio& aio) = 0;
    // Writes all of the buffers: success if and only if the layer below accepted every byte. A
    // write that ends with an error after some of its bytes went out closes the stream: all pending
    // and later operations, in both directions, end with Errc::closed, since the peer would take
    // later bytes for the rest of this write; but if the peer reset the connection, reads first
    // deliver the bytes that came before the reset. After a write that ended before a byte went out
    // the stream stays usable. Errors: Errc::connection_reset (ECONNRESET and EPIPE), and any
    // other errno of send(2) untouched, such as EFAULT for an entry at a bad address (see above).
    // Success means that the kernel has the bytes, not that the peer has them: the first write
    // after the peer has closed may succeed, a later one ends with connection_reset. No SIGPIPE is
    // raised (MSG_NOSIGNAL). Small writes that wait behind another may leave in one send with it;
    // each gets its own count.
    virtual void write_all(Aio& aio) = 0;

    // Ends all pending operations with Errc::closed, each with its exact count. The bytes that the
    // kernel has taken still reach the peer, then the end of the stream, unless the peer continues
    // to send: bytes that arrive after the close reset the connection, as with close(2) (RFC 1122
    // 4.2.2.13), and bytes still on their way are lost. Up to 16 MiB that arrived and was not read
    // is dropped first, so that it causes no reset. Again: no effect. Any thread; from another
    // thread than the engine's it takes effect in the engine's next turn.
    virtual void close() noexcept = 0;

    // The descriptor of the socket below all layers, for observation (getsockname(2), TCP_INFO and
    // SIOCINQ in tcp(7)): reading, writing or closing it corrupts the stream. -1 once closed; its
    // number may then name another file. Any thread.
    virtual int native_handle() const noexcept = 0;

protected:
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
};

using StreamPtr = std::unique_ptr<Stream>;

// Accepts connections. Any thread.
class Acceptor {
public:
    // Closes it; accepts still pending end with Errc::closed. When it returns, the address can be
    // bound again. Accepted streams are not affected.
    virtual ~Acceptor() = default;
    // Waits for a connection and puts its stream, on this acceptor's engine, into `out`, which must
    // live until the callback and is untouched after an error. Any number may wait at once, and
    // each connection completes one of them. The Aio's buffers are not used, and count() is 0.
    // Checks: a stopped Aio (Errc::canceled), a closed acceptor (Errc::closed), the time
    // (Errc::timed_out). Without memory for the stream the connection is closed and the accept ends
    // with Errc::not_enough_memory; the next accept may succeed.
    virtual void accept(Aio& aio, StreamPtr& out) = 0;
    // Ends pending accepts with Errc::closed; the kernel resets connections that are in the queue
    // and were not accepted. Returns at once. Again: no effect.
    virtual void close() noexcept = 0;
    // The engine that its streams are on, so that http::Server::listen() and tls::Listener can
    // refuse an acceptor of another one; null, as by default: not known, or destroyed.
    virtual Engine* engine() const noexcept { return nullptr; }
};

// The destination of a Connector's connections, as far as it is known: the scheme, the host and the
// port of RFC 6454 section 4. The view is valid as long as the connector.
struct Origin {
    bool secure = false;         // TLS with a verified peer: https and wss are possible
    std::string_view host = {};  // as in a URL, without brackets; empty: not known
    std::uint16_t port = 0;      // 0: not known
};

// Opens connections. Any thread.
class Connector {
public:
    virtual ~Connector() = default;
    // The destination of connect(). http::Client refuses a request for a URL of another origin. A
    // connector that makes TLS connections must override this, or https URLs are refused: by
    // default connections are plain, to a host that is not known.
    virtual Origin origin() const noexcept { return {}; }
    // Makes a connection and puts its stream, on the Aio's engine, into `out`, which must live
    // until the callback and is untouched after an error, as must the connector. The Aio's deadline
    // and cancel hold for the connecting, its buffers are not used, and count() is 0. Several may
    // run at once.
    virtual void connect(Aio& aio, StreamPtr& out) = 0;
};

// Makes an acceptor on the engine: http::Server::listen() calls it once for each engine of a group,
// on the thread that calls listen(). May throw; must not return null.
using AcceptorFactory = std::function<std::unique_ptr<Acceptor>(Engine&)>;

// Options of a socket and its stream. Connects end with the errno of setsockopt(2) for a value that
// the kernel refuses, and constructors of listeners throw it: EINVAL for times and probes out of
// range. A listener sets them on its own socket, from which accepted sockets inherit them.
struct StreamOptions {
    bool no_delay = true;     // tcp(7) TCP_NODELAY: small writes leave at once
    bool keep_alive = false;  // socket(7) SO_KEEPALIVE, on tcp, with the three below
    // tcp(7): silence before the first probe (TCP_KEEPIDLE) and time between probes
    // (TCP_KEEPINTVL), each 1 to 32767 s; probes without an answer after which the connection ends,
    // and reads with ETIMEDOUT (TCP_KEEPCNT), 1 to 127.
    std::chrono::seconds keep_alive_idle{60};
    std::chrono::seconds keep_alive_interval{60};
    int keep_alive_probes = 9;
    ZeroCopy zero_copy = ZeroCopy::off;
    // Bytes of the kernel's buffers, SO_SNDBUF and SO_RCVBUF (socket(7)): the kernel doubles the
    // value, caps it by net.core.wmem_max or rmem_max, and no longer adapts the size to the
    // connection. 0: the system's own choice.
    int send_buffer = 0;
    int receive_buffer = 0;
    // Operations of a direction that may be pending at once; the next one ends with
    // Errc::no_buffer_space. 0: no limit.
    std::size_t queue_limit = 0;
};

}  // namespace uaio
