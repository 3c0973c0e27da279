// A Connection corresponds to libcurl's CURLOPT_CONNECT_ONLY, curl_easy_send and curl_easy_recv:
// the library handles names, proxies and TLS, and the caller sends and receives raw bytes. Three
// ways to do so may be mixed: Aios, which complete; try_send() and try_receive(), which never wait
// for the peer; and wait_for(), which completes when an attempt can make progress. Any thread.
//
//     uaio::easy::Connection connection(engine);
//     connection.connect("https://example.org", {}, aio);
//     if (aio.wait()) return aio.result();
//     const auto [error, count] = connection.try_send(bytes);
#pragma once

#include <uaio/dialer.h>
#include <uaio/transferred.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

namespace uaio::easy {

class ConnectionCore;

// The options of a connect are those of a Dialer.
using Options = DialOptions;

// Time that a connect spent in each phase, see DialReport.
struct Timings {
    std::chrono::nanoseconds resolve{0};
    std::chrono::nanoseconds connect{0};
    std::chrono::nanoseconds proxy{0};
    std::chrono::nanoseconds tls{0};
};

// One connection at a time. Members may be called from any thread unless they say otherwise; one
// thread may send while another receives. Aios must be of its engine, or end with
// ArgumentErrc::wrong_engine.
//
// While there is no connection (before the first connect, during one, after one that failed, after
// close()) verbs and attempts end with Errc::not_connected. They do so after the destructor of its
// engine, too, and connect() ends with Errc::closed then. Termination is sticky: the first of
// end_of_stream (an orderly end), truncated (TLS without its closing alert) or an error is returned
// by all later receives. Sending still works after end_of_stream.
class Connection {
public:
    // Connects nothing yet. Throws std::bad_alloc, and std::system_error (Errc::engine_lost) after
    // the end of the engine.
    explicit Connection(Engine& engine);
    // As close(), without waiting: callbacks of pending operations may run after it has returned.
    // May be destroyed before or after its engine.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Connects to the target of a URL, see Dialer's constructor, by these options; the Aio
    // completes when bytes can be sent, and its cancel and deadline hold in every phase. An earlier
    // connection is closed when this one starts, also if it fails later, and its operations end
    // with Errc::closed; so does a connect that is still under way. After an error every socket of
    // the attempt has been released. `url` and `options` are copied, but for a resolver, which must
    // outlive the callback. Connects of one Connection share a cache of names, and the default
    // context for TLS with targets and so its sessions; the context for an https proxy is made anew
    // each time unless the options contain one. The Aio's buffers are not used and its count() is
    // 0.
    //
    // Errors: those of Dialer::connect(); the code that tls::Context() would throw. Allocates,
    // reads the environment for proxies (getenv(3)) and, for the first TLS target, the authorities
    // of the system on the calling thread.
    void connect(std::string_view url, const Options& options, Aio& aio) noexcept;

    // Stream::write(), write_all(), read() and read_all(), with their errors and counts (see
    // <uaio/stream.h>), over TLS those of tls::connect(), and Errc::not_connected. Bytes that are
    // counted as sent have been taken by the kernel, those of TLS in whole records. A send that
    // fails after some of its bytes went out closes the stream: later operations end with
    // Errc::closed until the next connect.
    void send(Aio& aio) noexcept;
    void send_all(Aio& aio) noexcept;
    void receive(Aio& aio) noexcept;
    void receive_all(Aio& aio) noexcept;

    // Sends some of the bytes now, or nothing, by send(2) with MSG_DONTWAIT; never waits for the
    // peer. Do not resend counted bytes. Over plain sockets the kernel has them. TLS takes whole
    // records and keeps the part of them for which the socket has no room, in order before
    // everything that is sent later: the next attempt or the engine sends it. After
    // operation_would_block the next attempt may pass other bytes, and any number of them. Errors:
    // operation_would_block, when nothing can be taken, or sends with Aios are under way;
    // not_connected, also after the engine's destructor; not_supported over a stream that
    // Options::start_tls made; else those of a send. No bytes at all: no error, count 0.
    //
    // On the engine's thread it runs at once. Another thread waits for the engine's thread to run
    // it, which costs an allocation (not_enough_memory) and a wake-up; after 100 ms it returns
    // operation_would_block and has sent nothing. engine_lost where no thread runs the engine any
    // more.
    Transferred try_send(std::span<const std::byte> bytes) noexcept;
    // Receives the bytes that have arrived, at least one, at most as many as `bytes` holds, or
    // nothing; never waits for the peer. `bytes` is the caller's again on return. Errors:
    // operation_would_block, when nothing has arrived, or receives with Aios are under way; else
    // those of a receive, end_of_stream among them, and those of try_send() that a send does not
    // have. With an empty `bytes`: no error, count 0, also at the end of the stream. Threads as for
    // try_send().
    Transferred try_receive(std::span<std::byte> bytes) noexcept;

    // Completes when an attempt in this direction would not end with operation_would_block: bytes,
    // an end or an error can be received, or some bytes can be sent (IORING_OP_POLL_ADD, poll(2)).
    // TLS sends and receives for itself what that needs, so that the direction reported is the one
    // that works. Operations with Aios in this direction come first. The Aio's buffers are not used
    // and its count() is 0. Errors: canceled, timed_out; not_connected; closed, when the connection
    // is closed meanwhile; not_supported over a stream that Options::start_tls made, with which
    // attempts end as well.
    void wait_for(Direction direction, Aio& aio) noexcept;

    // The socket, for observation: getsockname(2), getsockopt(2), and poll(2) while no Aio is
    // under way, which over TLS says nothing about bytes that TLS holds. Reading, writing or
    // closing it corrupts the connection. -1 when not connected. Any thread.
    int native_handle() const noexcept;

    // The times and the report of the last connect; complete when its callback runs, and unchanged
    // until the next one ends. A connect that another connect or close() ended does not change
    // them. Read them in the callback or after it: no lock protects them.
    Timings timings() const noexcept;
    const DialReport& report() const noexcept;

    // Ends all operations under way, a connect included, with Errc::closed. The bytes that the
    // kernel has taken still reach the peer, and TLS sends its closing alert, see tls::connect().
    // The Connection may connect again. On another thread than the engine's it takes effect in the
    // engine's next turn, in order with that thread's verbs.
    void close() noexcept;

private:
    ConnectionCore* core_;
};

}  // namespace uaio::easy
