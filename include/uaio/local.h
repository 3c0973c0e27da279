// Unix domain stream sockets (unix(7)): listeners and connects. Their streams keep the contract of
// <uaio/stream.h>; the options of tcp have no effect on them, and ZeroCopy::on copies, since the
// kernel has no zero-copy sends for them. The namespace is not called unix, which gcc predefines as
// a macro.
#pragma once

#include <uaio/stream.h>

#include <string>
#include <string_view>
#include <utility>

namespace uaio {

class ListeningSocket;

namespace local {

struct ListenOptions {
    // Connections that the kernel holds until they are accepted (listen(2)); net.core.somaxconn
    // caps it. Beyond it connects wait.
    int backlog = 4096;
    // Replaces a socket file without a listener, as a server that was killed leaves it: the
    // constructor probes the path by connect(2), and removes a socket that ends it with
    // ECONNREFUSED. A live server sees that probe as a connection that ends at once. Other files
    // stay, and bind(2) ends with EADDRINUSE.
    bool remove_stale = true;
    // Whether closing removes the socket file; unix(7) leaves it otherwise. A file that another
    // process has put at the path meanwhile (another inode) is never removed. A relative path is
    // resolved again: after chdir(2) the file stays, so pass an absolute one where the program
    // changes its folder. Set it to false where a successor takes the path over.
    bool remove_on_close = true;
    StreamOptions stream;  // of the accepted connections
};

struct ConnectOptions {
    StreamOptions stream;
};

// A listening socket on one engine.
class Listener final : public Acceptor {
public:
    // Listens at once on the socket file `path`, at most 107 bytes without a NUL; a first '@'
    // stands for the abstract namespace (unix(7)), whose names may have any byte and have no file.
    // The file gets the mode that umask(2) leaves of 0777; a client needs write permission. Throws
    // std::system_error with a what() that says which call failed, and what to do:
    // ArgumentErrc::invalid_endpoint for a path that is empty or has a NUL, ENAMETOOLONG,
    // EADDRINUSE, ENOENT and EACCES for the folder; Errc::engine_lost after the engine's end;
    // std::bad_alloc. Any thread.
    Listener(Engine& engine, std::string_view path, const ListenOptions& options = {});
    // Closes it, removes the socket file, and returns when the path can be bound again; see
    // tcp::Listener for how long that takes.
    ~Listener() override;

    // As tcp::Listener's: the errno of accept(2) beside the errors of Acceptor::accept(), and no
    // error for lack of descriptors.
    void accept(Aio& aio, StreamPtr& out) override;
    void close() noexcept override;

    Engine* engine() const noexcept override;

    // The path as it was given, '@' included. Valid as long as this object; any thread.
    const std::string& path() const noexcept { return path_; }

private:
    friend AcceptorFactory acceptor(std::string_view path, const ListenOptions& options);
    Listener(std::string&& path, ListeningSocket& socket) noexcept
        : socket_(&socket), path_(std::move(path)) {}

    ListeningSocket* socket_;
    std::string path_;
};

// An AcceptorFactory for servers on several engines: its Listeners share one listening socket, and
// so one queue of connections. The last of them that closes removes the socket file. Copies of the
// factory share it, too. The factory listens when it is called the first time, and throws what
// Listener's constructor throws. Engines on io_uring and on epoll cannot share one socket:
// EADDRINUSE.
AcceptorFactory acceptor(std::string_view path, const ListenOptions& options = {});

// Connects on the Aio's engine to the socket file `path` (a first '@': the abstract namespace) and
// puts the stream into `out`, which must live until the callback and is untouched after an error;
// path and options are copied. The Aio's deadline and cancel hold for the connecting, which waits
// while the listener's backlog is full. The Aio's buffers are not used, and count() is 0. Errors:
// Errc::canceled, timed_out, closed (the engine's end); the errno of connect(2), such as ENOENT,
// ECONNREFUSED and EACCES; ENAMETOOLONG for more than 107 bytes; ArgumentErrc::invalid_endpoint, as
// for a Listener; Errc::not_enough_memory. Allocates. Any thread.
void connect(std::string_view path, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept;

// Makes connections by local::connect() to one path, for http::Client and tls::Connector. Its
// origin() is not known, so that an http::Client over it takes host and port from its first
// request. Any thread.
class Connector final : public uaio::Connector {
public:
    // Copies the arguments; connect() reports a path that cannot be used.
    explicit Connector(std::string_view path, const ConnectOptions& options = {})
        : path_(path), options_(options) {}
    // As local::connect(); the Connector may be destroyed before the callback.
    void connect(Aio& aio, StreamPtr& out) override { local::connect(path_, options_, aio, out); }

private:
    std::string path_;
    ConnectOptions options_;
};

}  // namespace local
}  // namespace uaio
