// Content that is written and read in pieces: the handles that Connection::write_content() and
// read_content(), Exchange::writer() and reader() return. Memory is the caller's, and an operation
// completes when the kernel has taken its bytes, or has delivered them, which gives flow control.
// Any thread; operations of one direction queue behind each other like all of a connection's.
#pragma once

#include <uaio/aio.h>
#include <uaio/http_headers.h>

namespace uaio::http {

class Session;

// Writes the content of the message whose head was written last without any: as long as its
// Content-Length says, or in chunks (RFC 9112 7.1), or, to an HTTP/1.0 client, up to the end of the
// connection. Where the message must not have any, as in the answer to HEAD, content is counted and
// dropped. A handle to copy; it must not be used after its Connection is destroyed or moved from.
// One that was taken before the connection's first message verb ends every operation with
// ArgumentErrc::wrong_message_state.
class ContentWriter {
public:
    // Made by Connection::write_content() and Exchange::writer().
    explicit ContentWriter(Session* session) noexcept : session_(session) {}

    // Writes all of the Aio's buffers as content: as they are, or as a chunk, or as several chunks
    // for more than seven entries (inline_iov, a build option, less one). count() is of their
    // bytes, without framing. An iovec list of no bytes succeeds and sends nothing, as an empty
    // chunk would end the content. Errors: those of Connection::write_all(); Errc::timed_out also
    // by ConnectionOptions::send_timeout; Errc::not_enough_memory, when the first piece is written.
    // ArgumentErrc::wrong_message_state without a message that waits for content, or for more bytes
    // than its Content-Length leaves, or if the write of the head was cancelled before a byte of it
    // was sent; nothing happens to the connection then. Errc::closed if the head failed otherwise.
    // A write that ends between two such pieces closes the connection, as one that is cut does.
    void write(Aio& aio) noexcept;
    // Ends the content: writes the last chunk, or checks that all bytes of a Content-Length were
    // written. ArgumentErrc::wrong_message_state if some are missing: the peer waits for them, so
    // write them or close the connection. Other errors: those of write(). The Aio's buffers are not
    // used, and count() is 0.
    void finish(Aio& aio) noexcept;
    // The same with trailer fields, which must live, and stay as they are, until the callback. Only
    // chunked content has a trailer; with other content the fields are dropped.
    // ArgumentErrc::invalid_trailer for a field that frames, routes, authenticates or describes the
    // message, such as Content-Type or Set-Cookie (RFC 9110 6.5.1); the content may still be ended
    // then.
    void finish(const Headers& trailer, Aio& aio) noexcept;

private:
    Session* session_;
};

// Reads the content of the message that was read last, without its framing. The first read sends
// "100 Continue" to a client that expects it, unless its content has begun to come (RFC 9110
// 10.1.1). A handle to copy; it must not be used after its Connection is destroyed or moved from.
// One that was taken before the connection's first message verb ends every read with
// ArgumentErrc::wrong_message_state.
class ContentReader {
public:
    // Made by Connection::read_content() and Exchange::reader().
    explicit ContentReader(Session* session) noexcept : session_(session) {}

    // Reads at least one byte, at most as many as the buffers hold. Errc::end_of_stream with count
    // 0 when all content has been read, also for a message that has none; Errc::truncated if the
    // stream ended before; an HttpErrc for malformed chunks or a malformed trailer, after which
    // every read of the connection ends with Errc::closed. Other errors: those of
    // Connection::read(). A read that is cancelled or expires loses no byte: the next one
    // continues. Content of a response without a length extends to the end of the stream (RFC 9112
    // 6.3), so that its end cannot be distinguished from an interrupted connection, except over
    // TLS.
    void read(Aio& aio) noexcept;
    // Reads until the buffers are full. Errc::end_of_stream if the content ends before: count()
    // bytes are at the front of the buffers. Otherwise as read().
    void read_all(Aio& aio) noexcept;
    // The trailer fields (RFC 9112 7.1.2) of chunked content, after a read has ended with
    // Errc::end_of_stream; empty before, and without a trailer. Valid until the next message is
    // read. A sender can put any field there that an intermediary checks in heads only, so they are
    // kept apart from the head's, and the program decides how far it trusts them (RFC 9110 6.5.1).
    // Fields that no head may have, or for which there is no memory, are dropped. On the engine's
    // thread.
    const Headers& trailer() const noexcept;

private:
    Session* session_;
};

}  // namespace uaio::http
