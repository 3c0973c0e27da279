// Unix domain stream sockets (unix(7)); the namespace is not called unix since gcc predefines that
// word. Zero-copy sending does not exist for them: the option falls back to copying.
#pragma once

#include <uaio/stream.h>

#include <string>
#include <string_view>
#include <utility>

namespace uaio {

class ListeningSocket;

namespace local {

struct ListenOptions {
    int backlog = 4096;        // listen(2); the system's net.core.somaxconn caps it
    bool remove_stale = true;  // a socket file that nobody listens on any more is replaced
    // Whether closing removes the socket file. A file that another process has put at the path
    // meanwhile is never removed. False leaves it to whom the path is handed over to.
    bool remove_on_close = true;
    StreamOptions stream;  // of the accepted connections
};

struct ConnectOptions {
    StreamOptions stream;
};

class Listener final : public Acceptor {
public:
    // Listens at once on the socket file `path`, at most 107 bytes without a NUL; a first '@'
    // stands for the abstract namespace, whose names may have any byte. Throws std::system_error
    // with a what() that says which call failed, and what to do; ArgumentErrc::invalid_endpoint for
    // a path that is empty or has a NUL. Any thread.
    Listener(Engine& engine, std::string_view path, const ListenOptions& options = {});
    // Closes it, removes the socket file, and returns when the path can be bound again; see
    // tcp::Listener for how long that takes.
    ~Listener() override;

    // As tcp::Listener's.
    void accept(Aio& aio, StreamPtr& out) override;
    void close() noexcept override;

    Engine* engine() const noexcept override;

    const std::string& path() const noexcept { return path_; }

private:
    friend AcceptorFactory acceptor(std::string_view path, const ListenOptions& options);
    Listener(std::string&& path, ListeningSocket& socket) noexcept
        : socket_(&socket), path_(std::move(path)) {}

    ListeningSocket* socket_;
    std::string path_;
};

// Makes Listeners that share one listening socket, for servers on several engines. The last of them
// that closes removes the socket file.
AcceptorFactory acceptor(std::string_view path, const ListenOptions& options = {});

// Connects on the Aio's engine to the socket file `path` (a first '@': the abstract namespace) and
// puts the stream into `out`, which must live until the callback. Errors beside those of the
// contract: the errno of connect(2), such as ENOENT and ECONNREFUSED; ENAMETOOLONG;
// invalid_endpoint, as for a Listener; not_enough_memory. Allocates. Any thread.
void connect(std::string_view path, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept;

// Makes such connections to one path, as http::Client asks for them. Any thread.
class Connector final : public uaio::Connector {
public:
    explicit Connector(std::string_view path, const ConnectOptions& options = {})
        : path_(path), options_(options) {}
    void connect(Aio& aio, StreamPtr& out) override { local::connect(path_, options_, aio, out); }

private:
    std::string path_;
    ConnectOptions options_;
};

}  // namespace local
}  // namespace uaio
