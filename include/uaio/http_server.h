// A Server speaks HTTP/1.1 over the connections of its acceptors and passes each request to a
// handler, found by method, host and path. Compared with nng_http_server_hold(3http), it has
// streamed content, limits and timeouts. A malformed request is answered with the status of
// http::status_for(), and its connection is closed.
#pragma once

#include <uaio/engine_group.h>
#include <uaio/http_connection.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace uaio::http {

class Exchange;
class RequestReader;
class ResponseSender;
class Route;
class Router;
class ServerConnection;
class ServerShard;

// Called on the engine's thread with each request that a route takes. It answers, now or later on
// that thread, by respond(), end(), abort() or hijack() of the Exchange. An exception of it is
// answered with 500, without the fields of its response, logged (EngineOptions::log) and in the
// access log; after begin() it does what Exchange::abort() does. It must not block: every other
// connection of the engine waits for it. A server on several engines calls one Handler on all of
// their threads at once.
using Handler = std::function<void(Exchange&)>;

// A request and the response to it, for ServerOptions::access_log. The views are valid during the
// call.
struct AccessRecord {
    std::string_view method;  // "GET", with an empty target, for a head that was malformed
    std::string_view target;
    int status = 0;                        // of the response that was sent; 0: nothing was sent
    std::uint64_t bytes = 0;               // of head and content; of content alone in pieces
    std::chrono::nanoseconds duration{0};  // from the head read to the end of the response
    // The error of writing; else the argument of abort(), the code of a std::system_error that the
    // handler threw, or Errc::canceled for any other exception, or the fault of the handler's
    // response: ArgumentErrc::invalid_status, invalid_message, wrong_message_state (respond() after
    // begin(), end() without begin()), the code of a setter, or Errc::truncated (end() before all
    // content was written).
    std::error_code error;
    std::string_view reason = {};  // what() of the exception, or the fault of the response
};

// kNoTimeout is no timeout. One of zero or less is over before it begins: idle_timeout closes each
// connection at once, head_timeout allows only heads that come in one piece, content_timeout no
// content that is collected, send_timeout sends a response at once or, more often, not at all, and
// linger_timeout closes without waiting.
struct ServerOptions {
    // Upper bounds for each request: beyond them 414, 431, or 400 for chunk extensions.
    Limits limits = {};
    // From the first byte of a head to its last, whatever is left of idle_timeout: else 408.
    std::chrono::nanoseconds head_timeout = std::chrono::seconds(20);
    // Without a byte of a request: the connection is closed.
    std::chrono::nanoseconds idle_timeout = std::chrono::seconds(75);
    // For the content that is collected before a handler is called, in all: else 408. For each read
    // of a reader() whose Aio has no deadline of its own: else that ends with Errc::timed_out.
    std::chrono::nanoseconds content_timeout = std::chrono::seconds(60);
    // For each write of a response, and another second for each 16 KiB of it: else the connection
    // is closed. So it is for begin() and for each write of a writer(), whose Aios end with
    // Errc::timed_out then, or at their own deadline, if that is earlier. Large files are written
    // 128 KiB at a time.
    std::chrono::nanoseconds send_timeout = std::chrono::seconds(60);
    // Before a connection is closed behind a response while the client may still be sending, the
    // server ends its sending side, and reads and drops the client's bytes, until the client ends
    // too or for this long, so that the response is not lost by a reset (RFC 9112 9.6). Over TLS
    // the closing alert follows at the end of that time.
    std::chrono::nanoseconds linger_timeout = std::chrono::seconds(2);
    // Bytes of content that are collected, unless a route says otherwise: else 413, before they are
    // read. Memory follows the bytes that came; 503 without memory.
    std::size_t content_limit = 1 << 20;
    // Connections of each engine, at least 1; at the limit the next ones wait in the acceptor.
    std::size_t connections = 65536;
    // Descriptors of the process (RLIMIT_NOFILE) that accepting leaves free for what handlers open.
    // While there are handlers that send files, it leaves one more for each connection, up to an
    // eighth of the limit, or 64 where that is more. With fewer the next connections wait in the
    // acceptor until one ends.
    std::size_t spare_descriptors = 8;
    // Requests of a connection, after which it is closed; 0 is any number.
    std::uint64_t requests_per_connection = 0;
    // Responses of a connection that may be on their way while the next request is read, for
    // clients that pipeline (RFC 9112 9.3.2). 0: the next request is read when the response has
    // left.
    std::size_t pipelined = 16;
    // Called after each response, and for each request that gets none, on the thread of the engine
    // that served it: on several threads at once for a server on several engines. Must not throw,
    // nor destroy the server.
    std::function<void(const AccessRecord&)> access_log = {};
};

// One request and its response. It belongs to the server, and is the handler's until it responded,
// even if the connection breaks meanwhile, but not longer than the engine. On the engine's thread.
//
// respond(), end(), abort() and hijack() end it, each at most once: afterwards the server may use
// it for another request. A call in a wrong order or on another thread is misuse, as that of an Aio
// is: counted (EngineStatistics::misuse), logged and ignored, so that nothing goes out that would
// be taken for another response; but end() without begin() is answered with 500, and respond()
// after begin() does what abort() does. A debug build of the library, without NDEBUG, aborts at
// each of these calls.
class Exchange {
public:
    // The request, with its content (Request::content()) if the route collects that. Valid, as all
    // views of it are, until this exchange ends.
    const Request& request() const noexcept { return request_; }
    // The target's path, decoded, without dot segments, by which the route was found. An encoded
    // slash is no separator and stays "%2F", which "%252F" is decoded to as well: raw_path()
    // distinguishes them.
    std::string_view path() const noexcept { return path_; }
    // The part of path() behind that of a tree's route: "" or "/a/b".
    std::string_view path_suffix() const noexcept {
        return std::string_view(path_).substr(suffix_);
    }
    // The target's path as it came, percent-encoded: "/a%2Fb/../c". Each call takes the target
    // apart.
    std::string_view raw_path() const noexcept;
    // The target's query as it came, percent-encoded, without its question mark; empty without one.
    std::string_view query() const noexcept;
    // The engine that this request is served on: for the Aios of begin(), writer() and reader(),
    // and for operations of the handler's own.
    Engine& engine() const noexcept;
    // The time that ServerOptions::send_timeout allows for a write of so many bytes.
    std::chrono::nanoseconds send_timeout(std::size_t bytes) const noexcept;

    // The response to be sent: 200 without fields and content, until it is changed. Date,
    // Connection and the framing are added when it is sent (RFC 9110 6.6.1).
    Response& response() noexcept { return response_; }
    // Sends response() and ends this exchange. Its status is 200 or above: another one, or fields
    // and content that must not be sent, are logged and answered with 500. Content that it borrows
    // must live until the access log is called, so let it own its content (copy_content), or borrow
    // bytes that live as long as the server.
    void respond() noexcept;
    // Sends Response::set_error_page(status) with the other fields of response(), and ends this
    // exchange; a status that is not 200 to 999 is logged and answered with 500.
    void respond(int status) noexcept;
    // Sends a copy of this text with the status and the other fields of response(), 200 unless they
    // were changed, and ends this exchange. A response that cannot be sent, such as one with a type
    // that no header may hold, is logged and answered with 500.
    void respond(std::string_view content,
                 std::string_view type = "text/plain; charset=utf-8") noexcept;

    // For content in pieces: writes the head of response(), which has either a Content-Length and
    // no content, or none ("Transfer-Encoding: chunked" is added then, unless the response has no
    // content: 101, 204, 205, 304 and a 2xx to CONNECT); the content goes by writer(), to its
    // finish(); then end(), or abort() if it cannot be completed. These operations complete in this
    // order. A status below 200 that is not 101 is logged and ends the Aio with
    // ArgumentErrc::invalid_status; begin() on an exchange that has begun or ended ends it with
    // wrong_message_state; other errors are those of Connection::write_response(). The response
    // must stay as it is until the Aio has completed. The Aio's iovec list is replaced, and count()
    // is that of the head.
    void begin(Aio& aio) noexcept;
    // After begin(), also before its Aio has completed. Without begin() it is misuse, and every
    // operation of it ends with ArgumentErrc::wrong_message_state. Valid until the exchange ends:
    // later it may refer to another connection.
    ContentWriter writer() noexcept;
    // Ends this exchange behind the operations submitted so far, which may still be under way. If
    // bytes of a Content-Length, or the finish() of chunked content, are missing, the connection is
    // closed, so that the client sees it, and the access log gets Errc::truncated.
    void end() noexcept;
    // Ends this exchange. After a begin() of which nothing was sent the response is 500: before its
    // Aio has completed, which ends with Errc::closed then, or after that was cancelled or refused.
    // Otherwise, so after a begin() that timed out, the connection is closed: the peer sees that
    // something is missing. The access log gets `error`.
    void abort(std::error_code error = Errc::closed) noexcept;

    // For a route that stream_content(): reads the request's content, before and during the
    // response. Up to 64 KiB of known length that is left behind the response is skipped; with more
    // of it, or content of unknown length, the connection ends. Valid until the exchange ends:
    // later it may refer to another connection.
    ContentReader reader() noexcept;

    // A place for state that a handler keeps between requests, one for each engine and key, so that
    // it needs no lock; empty at first. `key` is any address of the handler's own. It lives as long
    // as the server's part on that engine, whose thread destroys it. Throws std::bad_alloc.
    std::shared_ptr<void>& per_engine(const void* key);

    // Takes the connection out of the server and ends this exchange. For other protocols, after
    // CONNECT or an upgrade: begin() with 2xx or 101, and when its Aio has completed, this. Not
    // while begin() writes: the head is this exchange's. The server's timeouts no longer apply to
    // the connection, and drain() does not wait for it. After the end of this exchange it is
    // misuse, and every verb of the connection that is returned ends with Errc::closed.
    Connection hijack() noexcept;

private:
    friend class FixedResponse;
    friend class RequestReader;
    friend class ResponseSender;
    friend class ServerShard;

    enum class State : std::uint8_t {
        over,      // not a request's
        open,      // nothing of a response is on its way
        begun,     // begin() was called
        answered,  // respond() was called
        ending,    // end() was called, and the last writes are on their way
        failing,   // abort() was called, and the head is on its way
    };

    explicit Exchange(Engine& engine);
    void reset() noexcept;
    bool on_its_thread() noexcept;
    bool may_respond() noexcept;
    void misuse(const char* what) noexcept;
    std::size_t capacity() const noexcept;  // bytes that it holds, in use or kept

    ServerConnection* connection_ = nullptr;
    Exchange* next_ = nullptr;  // of those that the shard keeps, or whose responses are written
    std::size_t kept_ = 0;      // bytes, while the shard keeps it
    Request request_;
    Response response_;
    std::string path_;
    std::size_t suffix_ = 0;
    std::size_t collected_ = 0;  // bytes of content
    Clock::time_point begun_;    // when its head was there
    State state_ = State::over;
    bool failed_ = false;      // a response could not be made and an error page took its place
    std::error_code failure_;  // of the handler, and its reason
    std::string reason_;
    const Route* route_ = nullptr;
    // The last small fixed response, complete: which one, and the second of its Date.
    std::string whole_;
    std::uint64_t whole_number_ = 0;
    std::int64_t whole_second_ = 0;
    std::shared_ptr<const void> fixed_;  // owns the content, if the response does not
    std::int64_t send_end_ns_ = 0;       // the deadline of the response that is being written
    Aio aio_;                            // writes the response
};

// A method, a host and a path, and the handler of the requests that match. Made by
// Server::handle(); members return *this. Set up before Server::listen(), by the thread that calls
// handle().
class Route {
public:
    // Takes requests for this host only, in any case: the host of an absolute target, else that of
    // the Host field, without its port; an IPv6 address in brackets. Empty, as at first: any host.
    // Throws std::invalid_argument for a text that is no host, or has a port.
    Route& host(std::string_view name);
    // Takes all paths below as well: "/a" takes "/a", "/a/" and "/a/b", but not "/ab".
    Route& prefix() noexcept;
    // Calls the handler when the head is there, and leaves the content to Exchange::reader();
    // content_limit() does not apply then.
    Route& stream_content() noexcept;
    // Bytes of content that are collected for it, in place of ServerOptions::content_limit; more is
    // 413.
    Route& content_limit(std::size_t bytes) noexcept;

private:
    friend class RequestReader;
    friend class Router;

    std::string method_;  // empty: all
    std::string host_;    // empty: all
    std::string path_;    // without a slash at its end, unless it is "/"
    Handler handler_;
    std::size_t content_limit_ = 0;
    bool prefix_ = false;
    bool stream_content_ = false;
};

// Serves on one engine or on several. Of the routes that take a request's path, host and method,
// the one with the longest path wins, then an exact path before a prefix, then a route with a host,
// then one of the request's own method before one of GET, which takes HEAD as well, and that before
// one of every method, then the one made first. A path without a route is 404; one
// whose routes have other methods is 405 with Allow (RFC 9110 15.5.6). A path that leads out of the
// root, or has a bad percent-encoding or a NUL, is 400; an expectation other than 100-continue is
// 417. CONNECT, and "*" of OPTIONS, have the path "/". In a build without HTTP (kHttp is false) it
// closes each connection that it accepts.
class Server {
public:
    // Any thread. If the engine ends first, the server's connections, exchanges and acceptors end
    // with it, no handler is called any more, and the server may still be destroyed. Throws
    // std::bad_alloc, std::system_error (Errc::engine_lost) if the engine has ended already, and
    // std::invalid_argument for ServerOptions::connections of 0. It accepts nothing before
    // listen().
    explicit Server(Engine& engine, ServerOptions options = {});
    // The same on each engine of the group. Connections stay on the engine that accepted them.
    explicit Server(EngineGroup& group, ServerOptions options = {});
    // Closes all acceptors and connections, without waiting for responses under way: drain() first
    // where those matter. No handler is called any more, and exchanges that a handler still holds
    // may be answered or failed without an effect. On another thread than an engine's it waits for
    // that engine to do so. Not inside a handler or ServerOptions::access_log.
    ~Server();

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // `method` in its own case, empty for all; `path` as Exchange::path() has it: decoded, from a
    // slash on, without empty and dot segments. Returns the route, which belongs to the server, to
    // be set up further before listen(). Throws std::invalid_argument for a method or a path that
    // no request can have, such as another one than "/" for CONNECT, and for an empty handler, and
    // std::logic_error after the first listen(), when engines look routes up without a lock. One
    // thread at a time.
    Route& handle(std::string_view method, std::string_view path, Handler handler);

    // Makes an acceptor on each engine and serves the connections that it accepts: for several
    // engines use a factory whose acceptors share a port, such as tcp::acceptor(). May be called
    // several times, for several addresses. On another thread than an engine's it waits for that
    // engine. Throws the factory's exceptions; std::invalid_argument for two routes of the same
    // method, host and path of which both or neither are a tree, and for a factory that returns no
    // acceptor, or one of another engine; std::logic_error after drain(), and after the end or the
    // stop() of an engine. Nothing accepts by this call then. One thread at a time, not inside a
    // handler.
    void listen(const AcceptorFactory& factory);

    // Accepts no more, closes idle connections, completes requests that have begun, with
    // "Connection: close", and completes the Aio when the last connection has closed: at the latest
    // when the server's timeouts have ended them, unless a handler never answers. A cancel or a
    // deadline (Errc::canceled, timed_out) ends only the waiting, which may begin again; the server
    // continues to drain. ArgumentErrc::drain_in_progress while another Aio waits. The Aio may be
    // of any engine, its buffers are not used, and it completes without an error also if the server
    // is destroyed. A drained server cannot be used again: make another one. Any thread.
    void drain(Aio& aio) noexcept;

    // Connections that are open now, on all engines; hijacked ones do not count. Any thread.
    std::size_t connections() const noexcept;
    // Requests answered: those whose response the kernel has taken whole, which a client can see a
    // moment sooner than this number does; exact once a drain() has completed. Any thread.
    std::uint64_t requests() const noexcept;

private:
    friend class ServerShard;

    struct Draining;
    static void start_drain(Aio& aio) noexcept;
    bool request_drain() noexcept;
    void shard_is_empty() noexcept;
    void abandon_shards() noexcept;

    ServerOptions options_;
    std::unique_ptr<Router> router_;
    std::vector<ServerShard*> shards_;
    bool listening_ = false;  // routes are looked up, and change no more
    std::shared_ptr<Draining> draining_;
    std::atomic<std::size_t> shards_left_{0};
};

}  // namespace uaio::http
