// What libcurl gives with CURLOPT_CONNECT_ONLY, curl_easy_send and curl_easy_recv: names, proxies
// and TLS are the library's work, and the caller sends and receives raw bytes. Three ways to do so
// may be mixed: Aios, which complete; try_send() and try_receive(), which never wait; and
// wait_for(), which tells when these are worth a call.
//
//     uaio::easy::Connection connection(engine);
//     connection.connect("https://example.org", {}, aio);
//     if (aio.wait()) return aio.result();
//     const auto [error, count] = connection.try_send(bytes);
#pragma once

#include <uaio/dialer.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

namespace uaio::easy {

class ConnectionCore;

// Everything that a Dialer can be told.
using Options = DialOptions;

// What became of an attempt. With an error the count is 0, and of what is asked nothing happened.
struct Result {
    std::error_code error;
    std::size_t count = 0;
};

enum class Direction : std::uint8_t { send, receive };

// Time that a connect spent in each phase, see DialReport.
struct Timings {
    std::chrono::nanoseconds resolve{0};
    std::chrono::nanoseconds connect{0};
    std::chrono::nanoseconds proxy{0};
    std::chrono::nanoseconds tls{0};
};

// One connection at a time. Members may be called from any thread unless they say otherwise; one
// that sends and one that receives do not disturb each other. All Aios have to be of its engine.
//
// While there is no connection (none was asked for, or the last connect has not succeeded, or it
// was closed) verbs and attempts end with Errc::not_connected. An end of the stream stays: an end
// in order (end_of_stream), one that cut something off (truncated) and an error are three results,
// and the first of them is also all later ones. Sending may go on after end_of_stream.
class Connection {
public:
    // Throws std::bad_alloc, and std::system_error after the end of the engine.
    explicit Connection(Engine& engine);
    // As close(). May go before or after its engine.
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Connects to the place of an URL as Dialer has them, with all that the options ask for; the
    // Aio completes when bytes can be sent, and its cancel and deadline hold in every phase. What
    // was connected before is closed first, and its operations end with Errc::closed; so does a
    // connect that is still under way. After an error nothing is left of the attempt. `url` and
    // `options` are copied, but for a resolver, which must outlive the callback. Connects of one
    // Connection share a cache of names, and the sessions of TLS contexts that they do not bring.
    // The Aio's vector is not used and its count() is 0. Errors: those of Dialer::connect(); what
    // tls::Context() would throw. Allocates.
    void connect(std::string_view url, const Options& options, Aio& aio) noexcept;

    // The verbs of a stream (see <uaio/stream.h>): write, write_all, read and read_all. Bytes that
    // are sent have been taken by the kernel, those of TLS in whole records (see tls::connect()).
    void send(Aio& aio) noexcept;
    void send_all(Aio& aio) noexcept;
    void receive(Aio& aio) noexcept;
    void receive_all(Aio& aio) noexcept;

    // Sends some of the bytes now, or nothing; never waits for the peer. Those that were counted
    // are not the caller's to send again. Over plain sockets the kernel has them. TLS takes whole
    // records, and what of those the kernel had no room for is kept, in order before everything
    // that is sent later, and leaves with the next attempt or by the engine. After
    // operation_would_block the next attempt may bring other bytes, as many as it likes. Errors:
    // operation_would_block, when nothing can be taken, or sends with Aios are under way;
    // not_connected; else what a send would end with. No bytes at all: no error, count 0.
    //
    // At once on the engine's thread. Another thread waits for the engine's to do it, which costs a
    // wake-up; if that is too busy for a tenth of a second, it would block.
    Result try_send(std::span<const std::byte> bytes) noexcept;
    // Receives what has come, at least a byte, or nothing; never waits for the peer. Errors:
    // operation_would_block, when nothing has come, or receives with Aios are under way;
    // not_connected; else what a receive would end with. With no room at all: no error, count 0,
    // which tells nothing. Threads as for try_send().
    Result try_receive(std::span<std::byte> bytes) noexcept;

    // Completes when an attempt in this direction would not be told operation_would_block: bytes,
    // or an end, can be received, or some can be sent. What TLS has to send or to receive for that
    // is its own affair, so that a direction that is reported is one that works. The Aio's vector
    // is not used and its count() is 0. Errors: not_connected, closed; over a stream that
    // Options::start_tls made not_supported, with which attempts end as well.
    void wait_for(Direction direction, Aio& aio) noexcept;

    // The socket, for observation: getsockname(2), getsockopt(2), and poll(2) while no Aio is
    // under way. Not to be read, written or closed. -1 when not connected.
    int native_handle() const noexcept;

    // How the last connect went; complete at its callback, and then the caller's to read until the
    // next connect.
    Timings timings() const noexcept;
    const DialReport& report() const noexcept;

    // Ends everything that is under way, a connect included, with Errc::closed. What the kernel has
    // taken still reaches the peer, and TLS says goodbye. Connect again if you like.
    void close() noexcept;

private:
    ConnectionCore* core_;
};

}  // namespace uaio::easy
