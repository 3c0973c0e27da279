// A Connection speaks HTTP/1.1 over any stream, as client or as server: messages, content in
// pieces, and raw bytes. write_all() does what the manual page of nng_http_conn_write_all(3http)
// promises; messages are framed and parsed by RFC 9110 and RFC 9112, strictly unless
// ConnectionOptions::lenient says otherwise.
#pragma once

#include <uaio/http_content.h>
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
// head_timeout allows only heads that come in one piece, send_timeout sends a message at once
// or, more often, not at all.
struct ConnectionOptions {
    // Upper bounds for each message that is read.
    Limits limits = {};
    // The time from the first byte of a head to its last. read_request or read_response ends with
    // Errc::timed_out then, or at the Aio's own deadline, if that is earlier. It is one for all
    // reads that wait for the same head, so that a read after the time-out ends at once, too. The
    // time before the first byte is limited by the Aio's deadline alone.
    std::chrono::nanoseconds head_timeout = kNoTimeout;
    // A write of a message, of content or of its end ends with Errc::timed_out after this time and
    // another second for each 16 KiB of it, counted from its submission, or at the Aio's own
    // deadline, if that is earlier. It also limits the "100 Continue" that the connection writes by
    // itself. Raw writes have the Aio's own deadline alone.
    std::chrono::nanoseconds send_timeout = kNoTimeout;
    // Responses are read as a user agent may read them, where their meaning is beyond doubt (RFC
    // 9112 2.2, 4, 5.1, 5.2, 6.3): folded field lines, which become one, lines that a line feed
    // alone ends, a status line without a reason and the space before it, white space before a
    // colon and behind the size of a chunk, any text as a chunk's extension, several equal
    // Content-Length. A Connection field that cannot be read is no error then, and the connection
    // is not kept. Not for a proxy, whose client may read them differently. Requests are always
    // read strictly.
    bool lenient = false;
};

// Owns its stream. Verbs return at once, may be called from any thread, and never call back inside
// the call; they queue behind each other, one FIFO a direction, any number of them (raw verbs that
// go straight to the stream up to StreamOptions::queue_limit, then Errc::no_buffer_space). Their
// checks are those of a Stream: a stopped Aio (Errc::canceled), a closed connection (Errc::closed),
// the buffers of verbs that use them (Errc::invalid_argument), the time (Errc::timed_out). Aios are
// of the stream's engine, or end with ArgumentErrc::wrong_engine, and with Errc::closed after that
// engine's destructor. Raw verbs cost what the stream's cost; the first verb for messages allocates
// a session, and Errc::not_enough_memory is its error.
// In a build without HTTP (kHttp is false) every verb but close() ends with Errc::not_supported.
class Connection {
public:
    // Makes no system call and allocates nothing. With an empty `stream` every verb ends with
    // ArgumentErrc::no_stream.
    explicit Connection(StreamPtr stream, const ConnectionOptions& options = {}) noexcept
        : stream_(stream ? std::move(stream) : no_stream()), options_(options) {}
    // Closes it; pending operations end with Errc::closed by their callbacks, which may run after
    // the destructor has returned. Any thread, also inside a callback of the connection's own, and
    // after the engine's end.
    ~Connection();

    // Operations continue on the new connection; `other` can only be destroyed and assigned to.
    // REQUIRES: no other thread uses either, and ContentReaders and ContentWriters are taken anew.
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&& other) noexcept;

    // Writes all of the Aio's buffers: after a short write the rest is submitted again, and the Aio
    // completes when all of it was accepted by the transport, or an error occurred; result() and
    // count() are then exact. Success: count() is the sum of the lengths. The iovec list is not
    // consumed. Errors: canceled, timed_out, closed (this side, or an earlier failed write),
    // connection_reset (the peer closed or reset), invalid_argument (no buffers, a null entry, too
    // long), not_enough_memory, not_supported, or an errno of the system category. After an error
    // with count() > 0 the connection ends: every other operation, in both directions, ends with
    // closed, reads after the bytes that came before a reset by the peer. Raw bytes are not framed:
    // between a head and the end of its content they are for programs that frame the content
    // themselves.
    void write_all(Aio& aio) noexcept;
    // The same, but completes when at least one byte was accepted (nng_http_conn_write(3http)).
    // Errors and their effects: those of write_all().
    void write(Aio& aio) noexcept;
    // Reads until the buffers are full; on end_of_stream, cancel, timeout or an error count() bytes
    // are in them, and the connection stays usable (nng_http_conn_read_all(3http)). Bytes that came
    // with a message that was read before are delivered first. Content is delivered as it came,
    // with its chunks, if it has any: after one raw read of those, read_content() delivers nothing
    // more. Errors: end_of_stream, connection_reset, canceled, timed_out, closed, invalid_argument,
    // or an errno of the system category; a TlsErrc or truncated over TLS.
    void read_all(Aio& aio) noexcept;
    // Reads at least one byte; end_of_stream with count 0 at the end (nng_http_conn_read(3http)).
    // Otherwise as read_all().
    void read(Aio& aio) noexcept;

    // Writes a message: its head, and in the same write the content it has (set_content,
    // copy_content). A request needs a target that goes with its method, and in HTTP/1.1 a Host.
    // Content-Length is added where it is missing. A response is fitted to the request it answers,
    // which is the oldest one read and not answered yet, or else the last one again: no content for
    // HEAD, 1xx, 204 and 304, no chunks for HTTP/1.0, and a Connection field that says whether the
    // connection stays. A message without content, but with "Transfer-Encoding: chunked" or a
    // Content-Length of its own, is a head whose content follows by write_content(). A message that
    // must not be sent is ArgumentErrc::invalid_message, one inside the content of another is
    // wrong_message_state, and the connection stays as it is. Requests may be pipelined: write
    // several before the first response is read.
    //
    // The message must live, and stay as it is, until the callback. count() is of head and content.
    // The Aio's iovec list is replaced, as by nng_http_conn_write_req(3http), but each write
    // serialises the message anew. Other errors and their effects: those of write_all; but a
    // message of which no byte was sent still counts as the one written, so that messages behind it
    // may be taken for its answer. Raw reads and writes still work then; to send messages, open a
    // new connection. ConnectionOptions::send_timeout applies.
    void write_request(Request& request, Aio& aio) noexcept;
    void write_response(Response& response, Aio& aio) noexcept;

    // Reads the head of a message into `request` or `response`, which must live until the callback
    // and is reset first; the content is read by read_content(), or raw. The next read of a message
    // skips content that is left, however long it is. The oldest request written and not answered
    // yet decides how a response is framed: no content for HEAD, a tunnel behind a 2xx to CONNECT.
    // Interim responses (1xx, but 101) are skipped, up to 16. The Aio's buffers are not used, and
    // count() is 0.
    //
    // Errors: end_of_stream between two messages, truncated inside of one, connection_reset, an
    // HttpErrc for a malformed message (http::status_for() gives the status to answer with),
    // closed, canceled, timed_out, not_enough_memory; ArgumentErrc::wrong_message_state behind
    // CONNECT or 101, where only raw verbs work. After an HttpErrc nothing more can be read: every
    // read ends with closed, and writing still works. A read that is cancelled or expires loses
    // nothing: the bytes stay for the next one. After not_enough_memory the head is gone.
    void read_request(Request& request, Aio& aio) noexcept;
    void read_response(Response& response, Aio& aio) noexcept;

    // Handles to the content of the message whose head was written, or read, last. Take them after
    // the first verb for messages was called; one handle then serves all messages.
    ContentWriter write_content() noexcept;
    ContentReader read_content() noexcept;

    // False when no other message can follow on this connection, going by the messages written and
    // read so far (RFC 9112 9.3): a Connection field with "close", HTTP/1.0 without keep-alive,
    // content up to the end of the stream, content not yet written whole, a fault, the end of the
    // stream. On the engine's thread.
    bool keeps_alive() const noexcept;

    // Ends all pending operations with Errc::closed; the bytes that the kernel has taken still
    // reach the peer. Unlike nng_http_conn_close it frees nothing: later verbs end with closed.
    // Again: no effect. Any thread.
    void close() noexcept;

    // The stream below, for native_handle() and tls::details(); reading or writing it beside the
    // connection loses bytes that the connection has buffered. Valid as long as this object.
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
