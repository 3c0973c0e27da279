// HTTP/1.1 over any stream: messages, content in pieces, and raw bytes. write_all() does what the
// manual page of nng_http_conn_write_all(3http) promises; messages are framed and parsed by RFC
// 9110 and RFC 9112, strictly unless ConnectionOptions::lenient says otherwise.
#pragma once

#include <uaio/http_body.h>
#include <uaio/http_message.h>
#include <uaio/http_types.h>
#include <uaio/stream.h>

#include <atomic>
#include <chrono>

namespace uaio::http {

class ClientConnection;
class ServerConnection;
class Session;

// kNoTimeout, as at first, is no timeout. One of zero or less is over before it begins:
// head_timeout allows only heads that come in one piece, send_timeout only what the kernel takes at
// once.
struct ConnectionOptions {
    // What a message that is read may cost.
    Limits limits = {};
    // From its first byte on, a head has to come within this time; read_request or read_response
    // ends with Errc::timed_out then, or at the Aio's own deadline, if that is earlier.
    std::chrono::nanoseconds head_timeout = kNoTimeout;
    // A write of a message, of content or of its end ends with Errc::timed_out after this time and
    // another second for each 16 KiB of it, counted from its submission, or at the Aio's own
    // deadline, if that is earlier. It also limits the "100 Continue" that the connection writes by
    // itself. Raw writes have the Aio's own deadline alone.
    std::chrono::nanoseconds send_timeout = kNoTimeout;
    // Responses are read as a user agent may read them, where what they mean is beyond doubt (RFC
    // 9112 2.2, 4, 5.1, 5.2, 6.3): folded field lines, which become one, lines that a line feed
    // alone ends, a status line without a reason and the space before it, white space before a
    // colon and behind the size of a chunk, any text as a chunk's extension, several equal
    // Content-Length. Not for a proxy, whose client may read them differently. Requests are always
    // read strictly.
    bool lenient = false;
};

// Owns its stream. Verbs return at once, may be called from any thread, and never call back inside
// the call; they queue behind each other, one FIFO a direction, any number of them (what goes to
// the stream at once up to StreamOptions::queue_limit, then Errc::no_buffer_space). In a build
// without HTTP every verb ends with Errc::not_supported.
class Connection {
public:
    // Without a stream every verb ends with ArgumentErrc::no_stream.
    explicit Connection(StreamPtr stream, const ConnectionOptions& options = {}) noexcept
        : stream_(stream ? std::move(stream) : no_stream()), options_(options) {}
    // Closes it; pending operations end with Errc::closed.
    ~Connection();

    // What was moved from can only be destroyed, and assigned to.
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&& other) noexcept;

    // Writes the Aio's whole vector: after a short write the rest is submitted again, and the Aio
    // completes when all of it was accepted by the transport, or an error occurred; result() and
    // count() then say exactly what happened. Success: count() is the sum of the lengths. The
    // vector is not consumed. Errors: canceled, timed_out, closed (this side, or an earlier failed
    // write), connection_reset (the peer closed or reset), invalid_argument (no vector, a null
    // entry, too long), not_enough_memory, not_supported, or an errno of the system category. After
    // an error with count() > 0 the connection ends: everything else on it, both ways, gets closed,
    // reads after what came before a reset by the peer.
    void write_all(Aio& aio) noexcept;
    // The same, but completes when at least one byte was accepted (nng_http_conn_write(3http)).
    void write(Aio& aio) noexcept;
    // Reads until the vector is full; on end_of_stream, cancel, timeout or an error count() bytes
    // are in it, and the connection stays usable (nng_http_conn_read_all(3http)). Bytes that came
    // with a message that was read before are delivered first.
    void read_all(Aio& aio) noexcept;
    // Reads at least one byte; end_of_stream with count 0 at the end (nng_http_conn_read(3http)).
    void read(Aio& aio) noexcept;

    // Writes a message: its head, and in the same write the content it has (set_data, copy_data).
    // What the serialiser adds and refuses: a request needs a target that goes with its method, and
    // a Host; Content-Length is added where it is missing; a response fits the request it answers,
    // which is the one read first of those not answered yet: no content for HEAD, 1xx, 204 and 304,
    // no chunks for HTTP/1.0, and a Connection field that says whether the connection stays. A
    // message without content, but with "Transfer-Encoding: chunked" or a Content-Length of its
    // own, is a head whose content follows by write_body(). What must not be sent is
    // ArgumentErrc::invalid_message (or wrong_message_state), and the connection stays as it is.
    //
    // The message must live, and stay as it is, until the callback. count() is of head and content.
    // The Aio's vector is replaced, as by nng_http_conn_write_req(3http), but the message is made
    // into text anew each time. Other errors and their effects: those of write_all; but a message
    // that ended with no byte out still counts as the one written, so that messages behind it may
    // be taken for its answer: raw verbs go on, messages need another connection.
    void write_request(Request& request, Aio& aio) noexcept;
    void write_response(Response& response, Aio& aio) noexcept;

    // Reads the head of a message into `request` or `response`, which must live until the callback
    // and is reset first; the content is read by read_body(), or raw. What nobody reads of it is
    // skipped by the next read of a message. Interim responses (1xx, but 101) are skipped. count()
    // is 0. Errors: end_of_stream between two messages, truncated inside of one, an HttpErrc for
    // what is not well-formed (http::status_for() says what to answer); after an HttpErrc nothing
    // more can be read, every read ends with closed, and writing goes on. A read that is cancelled
    // or expires loses nothing: the bytes stay for the next one.
    void read_request(Request& request, Aio& aio) noexcept;
    void read_response(Response& response, Aio& aio) noexcept;

    // The content of the message whose head was written, or read, last.
    BodyWriter write_body() noexcept;
    BodyReader read_body() noexcept;

    // False when another message cannot follow on this connection, going by what was written and
    // read so far (RFC 9112 9.3). On the engine's thread.
    bool keeps_alive() const noexcept;

    // Ends all pending operations with Errc::closed; what the kernel has taken still reaches the
    // peer. Unlike nng_http_conn_close it frees nothing: later verbs end with closed. Any thread.
    void close() noexcept;

    Stream& stream() noexcept { return *stream_; }

private:
    friend class ClientConnection;
    friend class ServerConnection;

    static StreamPtr no_stream() noexcept;
    Session* session_for(Aio& aio) noexcept;
    void submit(Aio& aio, void (*starter)(Aio&) noexcept, void* argument = nullptr) noexcept;
    void raw(Aio& aio, void (Stream::*verb)(Aio&), void (*starter)(Aio&) noexcept,
             bool reads) noexcept;

    StreamPtr stream_;
    ConnectionOptions options_;
    std::atomic<Session*> session_{nullptr};  // made by the first verb that is more than raw
};

}  // namespace uaio::http
