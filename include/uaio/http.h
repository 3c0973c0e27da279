// HTTP/1.1 over any stream. This is the connection with its raw verbs; write_all() does what the
// manual page of nng_http_conn_write_all(3http) promises.
#pragma once

#include <uaio/http_message.h>
#include <uaio/stream.h>

namespace uaio::http {

// Owns its stream. Verbs return at once, may be called from any thread, and never call back inside
// the call; they queue behind each other, one FIFO a direction, any number of them (or up to
// StreamOptions::queue_limit, then Errc::no_buffer_space). In a build without HTTP every verb ends
// with Errc::not_supported.
class Connection {
public:
    explicit Connection(StreamPtr stream) noexcept : stream_(std::move(stream)) {}
    // Closes it; pending operations end with Errc::closed.
    ~Connection() = default;

    Connection(Connection&&) noexcept = default;
    Connection& operator=(Connection&&) noexcept = default;

    // Writes the Aio's whole vector: after a short write the rest is submitted again, and the Aio
    // completes when all of it was accepted by the transport, or an error occurred; result() and
    // count() then say exactly what happened. Success: count() is the sum of the lengths. The
    // vector is not consumed. Errors: canceled, timed_out, closed (this side, or an earlier failed
    // write), connection_reset (the peer closed or reset), invalid_argument (no vector, a null
    // entry, too long), not_enough_memory, not_supported, or an errno of the system category. After
    // an error with count() > 0 the connection ends: everything else on it, both ways, gets closed.
    void write_all(Aio& aio) noexcept;
    // The same, but completes when at least one byte was accepted (nng_http_conn_write(3http)).
    void write(Aio& aio) noexcept;
    // Reads until the vector is full; on end_of_stream, cancel, timeout or an error count() bytes
    // are in it, and the connection stays usable (nng_http_conn_read_all(3http)).
    void read_all(Aio& aio) noexcept;
    // Reads at least one byte; end_of_stream with count 0 at the end (nng_http_conn_read(3http)).
    void read(Aio& aio) noexcept;

    // Ends all pending operations with Errc::closed; what the kernel has taken still reaches the
    // peer. Unlike nng_http_conn_close it frees nothing: later verbs end with closed. Any thread.
    void close() noexcept;

    Stream& stream() noexcept { return *stream_; }

private:
    StreamPtr stream_;
};

}  // namespace uaio::http
