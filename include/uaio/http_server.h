// An HTTP/1.1 server: connections from acceptors, requests to handlers, found by method, host and
// path. What nng_http_server and nng_http_handler do (nng_http_server_hold(3http)), with streamed
// content, limits and timeouts.
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
class Route;
class Router;
class ServerConnection;
class ServerLoop;

// Called on the engine's thread with each request that a route takes. It answers, now or later on
// that thread, by one of Exchange's ways to respond. What it throws is answered with 500, without
// the fields of its response, logged (EngineOptions::log) and in the access log. It must not block.
using Handler = std::function<void(Exchange&)>;

// What was answered, for an access log. The views are valid during the call.
struct AccessRecord {
    std::string_view method;
    std::string_view target;
    int status = 0;                        // of the response that was sent; 0: nothing was sent
    std::uint64_t bytes = 0;               // of head and content; of content alone in pieces
    std::chrono::nanoseconds duration{0};  // from the head read to the end of the response
    // How writing ended; else what fail() was given, the code of a std::system_error that the
    // handler threw, or Errc::canceled for anything else that it threw, or what was wrong with the
    // handler's response: ArgumentErrc::invalid_status, invalid_message, wrong_message_state
    // (respond() after begin(), end() without begin()), the code of a setter, or Errc::truncated
    // (end() before all content was written).
    std::error_code error;
    std::string_view reason = {};  // what the handler threw, or what was wrong with its response
};

// kNoTimeout is no timeout. One of zero or less is over before it begins: idle_timeout closes each
// connection at once, head_timeout allows only heads that come in one piece, content_timeout no
// content that is collected, send_timeout only what the kernel takes at once, and linger_timeout
// closes without waiting.
struct ServerOptions {
    Limits limits = {};  // of a head: else 414 or 431
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
    // Before a connection is closed behind a response while the client may still be sending, what
    // is sent is ended, and what comes is read and dropped, until the client ends too or for this
    // long, so that the response is not lost by a reset (RFC 9112 9.6). Over TLS the closing alert
    // follows at the end of that time.
    std::chrono::nanoseconds linger_timeout = std::chrono::seconds(2);
    // Bytes of content that are collected, unless a route says otherwise: else 413, before they are
    // read.
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
    // Responses of a connection that may be on their way while the next request is looked at.
    std::size_t pipelined = 16;
    // Called on the engine's thread after each response; must not throw.
    std::function<void(const AccessRecord&)> access_log = {};
};

// One request and its response. It belongs to the server, and is the handler's until it responded,
// even if the connection breaks meanwhile, but not longer than the engine. On the engine's thread.
//
// respond(), end(), fail() and hijack() end it, each at most once: afterwards the server may use it
// for another request. What is called in a wrong order or on another thread is misuse, as that of
// an Aio is: counted (EngineStatistics::misuse), logged and ignored, so that nothing goes out that
// would be taken for another response; but end() without begin() is answered with 500, and
// respond() after begin() does what fail() does. Builds for development stop there.
class Exchange {
public:
    // The request, with its content if the route collects that.
    const Request& request() const noexcept { return request_; }
    // The target's path, decoded, without dot segments: what the route was found by. An encoded
    // slash is no separator and stays "%2F".
    std::string_view path() const noexcept { return path_; }
    // The part of path() behind that of a tree's route: "" or "/a/b".
    std::string_view rest() const noexcept { return std::string_view(path_).substr(rest_); }
    // The target's path as it came: "/a%2Fb/../c".
    std::string_view raw_path() const noexcept;
    // As it came, without its question mark.
    std::string_view query() const noexcept;
    Engine& engine() const noexcept;
    // What ServerOptions::send_timeout allows for so many bytes.
    std::chrono::nanoseconds send_timeout(std::size_t bytes) const noexcept;

    // 200 without content, until it is changed.
    Response& response() noexcept { return response_; }
    // Sends response() and ends this exchange. Its status is 200 or above: another one, or fields
    // and content that must not be sent, are logged and answered with 500. What it borrows must
    // live until the access log is told, so let it own what it sends (copy_data), or borrow what
    // lives as long as the server.
    void respond() noexcept;
    // An error page, with the other fields of response(); 500 for a status that is not 200 to 999.
    void respond(int status) noexcept;
    // 200 with a copy of this text. What cannot be sent, such as a type that no header may hold, is
    // logged and answered with 500.
    void respond(std::string_view content,
                 std::string_view type = "text/plain; charset=utf-8") noexcept;

    // For content in pieces: writes the head of response(), which has either a Content-Length and
    // no content, or none ("Transfer-Encoding: chunked" is added then, unless the response has no
    // content: 101, 204, 205, 304 and a 2xx to CONNECT); the content goes by writer(), to its
    // finish(); then end(), or fail() if it cannot be completed. These operations complete in this
    // order. A status below 200 that is not 101 is logged and ends the Aio with
    // ArgumentErrc::invalid_status; begin() on an exchange that has begun or ended ends it with
    // wrong_message_state.
    void begin(Aio& aio) noexcept;
    BodyWriter writer() noexcept;
    // Ends this exchange behind what was written, which may still be on its way.
    void end() noexcept;
    // Ends this exchange. After a begin() of which nothing was sent the response is 500: before its
    // Aio has completed, which ends with Errc::closed then, or after that was cancelled or refused.
    // Otherwise, so after a begin() that timed out, the connection is closed: the peer sees that
    // something is missing. The access log gets `error`.
    void fail(std::error_code error = Errc::closed) noexcept;

    // For a route that streams(): the request's content.
    BodyReader reader() noexcept;

    // A place for what a handler keeps between requests, one for each engine and key, so that it
    // needs no lock; empty at first. It lives as long as the server's part on that engine. Throws
    // std::bad_alloc.
    std::shared_ptr<void>& local(const void* key);

    // Takes the connection out of the server, which forgets it; this exchange ends. For what is no
    // HTTP, after CONNECT or an upgrade: begin() with 2xx or 101, and when its Aio has completed,
    // this. Not while begin() writes: the head is this exchange's.
    Connection hijack() noexcept;

private:
    friend class ServerConnection;
    friend class ServerLoop;

    enum class State : std::uint8_t {
        over,      // not a request's
        open,      // nothing of a response is on its way
        begun,     // begin() was called
        answered,  // respond() was called
        ending,    // end() was called, and the last writes are on their way
        failing,   // fail() was called, and the head is on its way
    };

    explicit Exchange(Engine& engine);
    void reset() noexcept;
    bool on_its_thread() noexcept;
    bool may_respond() noexcept;
    void misuse(const char* what) noexcept;
    std::size_t capacity() const noexcept;  // bytes that it holds, in use or kept

    ServerConnection* connection_ = nullptr;
    Exchange* next_ = nullptr;  // of those that the loop keeps
    Request request_;
    Response response_;
    std::string path_;
    std::size_t rest_ = 0;
    std::size_t collected_ = 0;  // bytes of content
    Clock::time_point begun_;    // when its head was there
    State state_ = State::over;
    bool failed_ = false;      // a response could not be made and an error page took its place
    std::error_code failure_;  // of the handler, and its reason
    std::string reason_;
    const Route* route_ = nullptr;
    Aio aio_;  // writes the response
};

// Where requests go to. Set up before Server::listen().
class Route {
public:
    // Only requests for this host, without its port; any host at first. Throws
    // std::invalid_argument for what is no host, or has a port.
    Route& host(std::string_view name);
    // All paths below as well: "/a" takes "/a", "/a/" and "/a/b", but not "/ab".
    Route& tree() noexcept;
    // The handler is called when the head is there, and reads the content itself.
    Route& streams() noexcept;
    // Bytes of content that are collected for it.
    Route& content_limit(std::size_t bytes) noexcept;

private:
    friend class Router;
    friend class ServerConnection;

    std::string method_;  // empty: all
    std::string host_;    // empty: all
    std::string path_;    // without a slash at its end, unless it is "/"
    Handler handler_;
    std::size_t content_limit_ = 0;
    bool tree_ = false;
    bool streams_ = false;
};

// Serves on one engine or on several. The longest path wins, then a route with a host. HEAD goes to
// the route of GET if it has none of its own. What no route takes is 404; a path whose routes have
// other methods is 405 with Allow.
class Server {
public:
    // Any thread. If the engine ends first, the server's connections, exchanges and acceptors go
    // with it, no handler is called any more, and the server may still be destroyed. Throws
    // std::bad_alloc, std::system_error (Errc::engine_lost) if the engine has ended already, and
    // std::invalid_argument for ServerOptions::connections of 0.
    explicit Server(Engine& engine, ServerOptions options = {});
    // On each engine of the group.
    explicit Server(EngineGroup& group, ServerOptions options = {});
    // Closes all connections; no handler is called any more. On another thread than an engine's it
    // waits for that. Not inside a handler.
    ~Server();

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // `method` in its own case, empty for all; `path` as Exchange::path() has it: decoded, from a
    // slash on, without empty and dot segments. The route is the server's, to be set up further
    // before listen(). Throws std::invalid_argument for a method or a path that no request can
    // have and for an empty handler, and std::logic_error after the first listen(), when engines
    // look routes up. One thread at a time.
    Route& handle(std::string_view method, std::string_view path, Handler handler);

    // Makes an acceptor on each engine and serves what it accepts. May be called several times, for
    // several addresses. Throws what the factory throws; std::invalid_argument for two routes of
    // the same method, host and path, and for a factory that returns no acceptor, or one of another
    // engine; std::logic_error after drain(), and after the end of an engine. Nothing accepts then.
    // One thread at a time, not inside a handler.
    void listen(const AcceptorFactory& factory);

    // Accepts no more, closes what is idle, lets requests that have begun be answered, with
    // "Connection: close", and completes the Aio when the last connection is gone. A cancel or a
    // deadline ends only the waiting, which may begin again. ArgumentErrc::drain_in_progress while
    // another Aio waits. The Aio may be of any engine, and completes also if the server is
    // destroyed. Any thread.
    void drain(Aio& aio) noexcept;

    // Connections that are open now. Any thread.
    std::size_t connections() const noexcept;
    // Requests answered: those whose response the kernel has taken whole, which a client can see a
    // moment sooner than this number does; exact once a drain() has completed. Any thread.
    std::uint64_t requests() const noexcept;

private:
    friend class ServerLoop;

    struct Draining;
    static void start_drain(Aio& aio) noexcept;
    bool request_drain() noexcept;
    void loop_is_empty() noexcept;

    ServerOptions options_;
    std::unique_ptr<Router> router_;
    void abandon_loops() noexcept;

    std::vector<ServerLoop*> loops_;
    bool listening_ = false;  // routes are looked up, and change no more
    std::shared_ptr<Draining> draining_;
    std::atomic<std::size_t> loops_left_{0};
};

}  // namespace uaio::http
