// A Client sends HTTP/1.1 requests to one server and reads the responses, over connections that are
// kept and used again (RFC 9112 9.3). Compared with nng_http_client_transact(3http), it has a pool
// and supports HEAD, 204, 304, interim responses and content up to the end of the stream.
#pragma once

#include <uaio/http_connection.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace uaio::http {

class ClientCore;

// kNoTimeout is no timeout. One of zero or less is over before it begins: connect_timeout makes
// each request end with Errc::timed_out, send_timeout sends a request at once or, more often, not
// at all, and idle_timeout keeps no connection.
struct ClientOptions {
    // Upper bounds for a response's head; larger than a server's defaults, since a client chooses
    // the server.
    Limits limits = {.field = 64 << 10, .head = 256 << 10, .fields = 1000};
    // Refuses what ConnectionOptions::lenient describes. For a client that passes its responses on
    // to other clients, as a proxy does.
    bool strict = false;
    // Bytes of a response's content that are collected; more is HttpErrc::content_too_large, and
    // the connection is closed. Memory follows the bytes that came, not an announced length.
    std::size_t content_limit = 64 << 20;
    // For a new connection, TLS included: else Errc::timed_out. The Aio's own deadline holds for
    // waiting, connecting, sending and receiving together. Reading a response has no timeout but
    // the Aio's.
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds(30);
    // For sending a request, and another second for each 16 KiB of it: else Errc::timed_out.
    std::chrono::nanoseconds send_timeout = std::chrono::seconds(60);
    // The time for which a connection is kept without a request. Servers close idle connections,
    // too; transact() says when a request on such a connection is sent again.
    std::chrono::nanoseconds idle_timeout = std::chrono::seconds(30);
    // Connections at a time, at least 1; requests beyond that wait in order of submission, without
    // a limit on their number. One connection carries one request at a time: no pipelining.
    std::size_t connections = 16;
    // Redirects that are followed: 301, 302, 303, 307 and 308 with one Location (RFC 9110 15.4), an
    // http or https URL or a reference relative to the request's (RFC 3986 5). 0: a redirect is the
    // response. One more than that is HttpErrc::too_many_redirects, with the last response.
    //
    // The client follows a redirect to the origin of the request (RFC 6454 4). It follows one to
    // another origin only if Connector::origin() names that, and sends no Authorization,
    // Proxy-Authorization, Cookie, Cookie2, WWW-Authenticate or Proxy-Authenticate then; any other
    // redirect is the response: from http to https, for one, needs another client.
    //
    // 301 and 302 turn POST into GET, 303 turns everything but HEAD into GET; the content is
    // dropped then, with its fields: Content-*, Transfer-Encoding, Trailer, Expect, Digest,
    // Repr-Digest and Last-Modified. A redirect of CONNECT is the response.
    unsigned redirects = 0;
};

// Counts since the client was made.
struct ClientStatistics {
    std::uint64_t connections = 0;  // made
    std::uint64_t reuses = 0;       // requests on a connection that had carried another
    std::uint64_t retries = 0;      // requests sent again, since a kept connection was gone
    std::uint64_t discarded = 0;    // kept connections that the server closed, or that held bytes
                                    // behind a response which no request asked for
};

// Belongs to one engine, after whose destructor every transact() ends with Errc::closed. Any
// thread.
class Client {
public:
    // `connector` must outlive it. Connects nothing yet, and allocates nothing. The first
    // transact() decides which engine it belongs to. Host and port that Connector::origin() does
    // not name are those of the first request for a URL. Throws std::invalid_argument for
    // ClientOptions::connections of 0.
    explicit Client(Connector& connector, const ClientOptions& options = {});
    // Ends pending transactions with Errc::closed and closes all connections. On another thread
    // than the engine's it waits for the engine to do that. Not inside a callback of another
    // engine, where two engines could wait for each other. May be destroyed after its engine.
    ~Client();

    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Sends `request` and reads the response with all of its content, which `response` owns then:
    // Response::content(). A status such as 404 or 500 is no error. Both must live until the
    // callback; the response is reset first, and the request does not change, unless a redirect is
    // followed: then it is the request that was sent last. The Aio's buffers are not used, and
    // count() is that of the response's content. Allocates.
    //
    // Errors: those of Connector::connect(); canceled, timed_out and closed; connection_reset or
    // another error of the stream; an HttpErrc for a malformed response; truncated if the content
    // was cut short, with the bytes received in the response; HttpErrc::no_response if the server
    // closed the connection before one, content_too_large, too_many_redirects and
    // unrequested_response; ArgumentErrc::invalid_message for a request that must not be sent or
    // whose content is not attached (set_content()), wrong_engine for an Aio of another engine;
    // not_enough_memory. An error after the request began to be sent closes its connection; other
    // transactions continue.
    //
    // A request for a URL (Request::origin()) is only sent to that origin:
    // HttpErrc::insecure_connector for https over plain connections, HttpErrc::wrong_origin for
    // another scheme, host or port than the client's. A request that is made from a target and a
    // Host goes to the server that the connector reaches, as virtual hosts need it; only a whole
    // https URL as its target needs a secure connector, too.
    //
    // A kept connection is used again only if the server has sent nothing behind the last response.
    // A request on a connection that the server is closing, before a byte of a response, is sent
    // once more, on a new connection, if its method is idempotent (RFC 9110 9.2.2) or nothing of it
    // had been sent.
    void transact(Request& request, Response& response, Aio& aio) noexcept;

    // The counts of different kinds may be a turn of the engine apart; all 0 before the first
    // transact(). Any thread.
    ClientStatistics statistics() const noexcept;

private:
    ClientCore* core_for(Aio& aio) noexcept;

    Connector& connector_;
    const ClientOptions options_;
    std::atomic<ClientCore*> core_{nullptr};
};

}  // namespace uaio::http
