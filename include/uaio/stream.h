// A Stream is a connected, reliable, ordered flow of bytes both ways: tcp, unix, TLS, a tunnel
// through a proxy. All have the same verbs on Aios, so that they stack. Acceptors and connectors
// are where streams come from.
//
// The contract of every stream: verbs return at once and may be called from any thread; the Aio's
// engine has to be the stream's. Operations of one direction run one at a time in submission order,
// the directions independently of each other. Checks come in this order: stopped Aio
// (Errc::canceled), closed stream (Errc::closed), vector (Errc::invalid_argument), time
// (Errc::timed_out), then the queue. A vector with no entries, an entry with a length but no
// address, or a total over SSIZE_MAX is Errc::invalid_argument, and nothing happens to the stream;
// entries of length zero are skipped, and a vector of nothing else succeeds with count 0 when its
// turn comes. An operation cancelled or expired in the queue leaves no trace.
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

// Whether writes leave without a copy (IORING_OP_SEND_ZC, Linux 6.0; SENDMSG_ZC, 6.1). Their Aio
// then completes when the kernel gives the bytes back, which may wait for the peer to have them;
// the next write does not wait for that.
enum class ZeroCopy {
    off,
    on,         // every write; where the kernel cannot, it copies
    automatic,  // as off, until the library chooses by size and by what the kernel reports
};

class Stream {
public:
    // Closes it; operations still pending end with Errc::closed. Any thread.
    virtual ~Stream() = default;

    // Reads at least one byte, at most the vector's. Errc::end_of_stream with count 0 when the peer
    // has finished sending. A read that fails, is cancelled or expires leaves the stream usable.
    virtual void read(Aio& aio) = 0;
    // Reads until the vector is full. Short of that, count() bytes are in the vector's front.
    virtual void read_all(Aio& aio) = 0;
    // Writes at least one byte, at most the vector's.
    virtual void write(Aio& aio) = 0;
    // Writes the whole vector: success if and only if every byte was accepted by what lies below.
    // Ended by an error after some of its bytes went out, it takes the stream with it: everything
    // pending and later, both ways, ends with Errc::closed, since what follows would be read as the
    // middle of it; but if it was the peer that reset the connection, reads first give what had
    // come before that. Ended with no byte out, the stream stays usable. The same holds for
    // write().
    virtual void write_all(Aio& aio) = 0;

    // Ends all pending operations with Errc::closed, each with its exact count. What the kernel has
    // taken still reaches the peer, then the end of the stream, unless the peer goes on sending:
    // bytes that nobody will read reset the connection, as with close(2) (RFC 1122 4.2.2.13), and
    // what was still on its way is lost. Again: no effect. Any thread.
    virtual void close() noexcept = 0;

    // The descriptor below, to look at (getsockname(2), SO_INCQ), not to use; -1 once closed.
    virtual int native_handle() const noexcept = 0;

protected:
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
};

using StreamPtr = std::unique_ptr<Stream>;

// What a server listens on. Any thread.
class Acceptor {
public:
    // Closes it; accepts still pending end with Errc::closed. When it returns, what it listened on
    // can be bound again.
    virtual ~Acceptor() = default;
    // Waits for a connection and puts its stream, on this acceptor's engine, into `out`, which must
    // live until the callback and is untouched after an error. Several may wait at once.
    virtual void accept(Aio& aio, StreamPtr& out) = 0;
    // Pending accepts end with Errc::closed; connections that nobody accepted are refused.
    virtual void close() noexcept = 0;
    // The engine that its streams are on, so that http::Server::listen() can refuse an acceptor of
    // another one; null, as by default: not known.
    virtual Engine* engine() const noexcept { return nullptr; }
};

// What the connections of a Connector reach, as far as it knows: the scheme, the host and the port
// of RFC 6454 section 4. The view is valid as long as the connector.
struct Origin {
    bool secure = false;         // TLS, with a peer that has to prove its name, lies in between
    std::string_view host = {};  // as in a URL, without brackets; empty: not known
    std::uint16_t port = 0;      // 0: not known
};

// Opens connections. Any thread.
class Connector {
public:
    virtual ~Connector() = default;
    // What connect() reaches. http::Client refuses a request for a URL of another origin. A
    // connector that makes TLS connections has to override this, or https URLs are refused: by
    // default connections are plain, to a host that is not known.
    virtual Origin origin() const noexcept { return {}; }
    // Makes a connection and puts its stream, on the Aio's engine, into `out`, which must live
    // until the callback and is untouched after an error.
    virtual void connect(Aio& aio, StreamPtr& out) = 0;
};

// Makes an acceptor on an engine: one for each engine of a group.
using AcceptorFactory = std::function<std::unique_ptr<Acceptor>(Engine&)>;

// How a socket's stream behaves.
struct StreamOptions {
    bool no_delay = true;     // tcp(7) TCP_NODELAY: small writes leave at once
    bool keep_alive = false;  // socket(7) SO_KEEPALIVE, on tcp, with the three below
    // tcp(7): silence before the first probe, between probes (TCP_KEEPIDLE, TCP_KEEPINTVL), and
    // probes without an answer that end the connection (TCP_KEEPCNT); 1 to 32767, and 127 probes.
    std::chrono::seconds keep_alive_idle{60};
    std::chrono::seconds keep_alive_interval{60};
    int keep_alive_probes = 9;
    ZeroCopy zero_copy = ZeroCopy::off;
    int send_buffer = 0;          // bytes, SO_SNDBUF; 0: the system's own choice
    int receive_buffer = 0;       // bytes, SO_RCVBUF; 0: the system's own choice
    std::size_t queue_limit = 0;  // operations a direction; beyond it Errc::no_buffer_space;
                                  // 0: no limit
};

}  // namespace uaio
