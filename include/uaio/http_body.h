// Content that is written and read in pieces, while it is made and used: what Connection's
// write_body() and read_body() give. Memory is the caller's, and an operation completes when its
// bytes are on their way or there, so whoever is faster waits. Any thread; operations of one
// direction queue behind each other like all of a connection's.
#pragma once

#include <uaio/aio.h>
#include <uaio/http_headers.h>

namespace uaio::http {

class Session;

// Writes the content of the message whose head was written last without any: as long as its
// Content-Length says, or in chunks (RFC 9112 7.1), or, to an HTTP/1.0 client, up to the end of the
// connection. Where the message must not have any, as in the answer to HEAD, what is written is
// counted and dropped. A handle to copy; not to be used after its Connection is gone.
class BodyWriter {
public:
    explicit BodyWriter(Session* session) noexcept : session_(session) {}

    // Writes the whole vector as content: as it is, or as a chunk, or several for a long vector.
    // count() is of the vector's bytes, without what frames them. Errors: those of write_all, and
    // ArgumentErrc::wrong_message_state without a message that waits for content, or for more bytes
    // than its Content-Length leaves, or if the write of the head was cancelled before a byte of it
    // was sent; nothing happens to the connection then. Errc::closed if the head failed otherwise.
    void write(Aio& aio) noexcept;
    // Ends the content. ArgumentErrc::wrong_message_state if bytes of a Content-Length are missing:
    // the peer waits for them, so write them or close the connection. The Aio's vector is not used.
    void finish(Aio& aio) noexcept;
    // The same with trailer fields, which must live until the callback. Only chunked content has a
    // trailer; with other content the fields are dropped. ArgumentErrc::invalid_trailer for fields
    // that RFC 9110 6.5.1 does not allow there.
    void finish(const Headers& trailer, Aio& aio) noexcept;

private:
    Session* session_;
};

// Reads the content of the message that was read last, without its framing. The first read tells a
// client that asked with "Expect: 100-continue" to go on, if its content has not begun to come
// (RFC 9110 10.1.1). A handle to copy; not to be used after its Connection is gone.
class BodyReader {
public:
    explicit BodyReader(Session* session) noexcept : session_(session) {}

    // At least one byte, at most the vector's. Errc::end_of_stream with count 0 when all content
    // has been read; Errc::truncated if the stream ended before; an HttpErrc for malformed chunks,
    // and then nothing more can be read from the connection.
    void read(Aio& aio) noexcept;
    // Until the vector is full. Errc::end_of_stream if the content ends before: count() bytes are
    // in it.
    void read_all(Aio& aio) noexcept;
    // The trailer fields, once Errc::end_of_stream was met: views of the connection's, until the
    // next message is read. They are not the head's: what they may be trusted with is the
    // program's to decide (RFC 9110 6.5.1). On the engine's thread.
    const Headers& trailer() const noexcept;

private:
    Session* session_;
};

}  // namespace uaio::http
