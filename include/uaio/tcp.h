// TCP over IPv4 and IPv6: listeners and connects (tcp(7), ip(7)).
#pragma once

#include <uaio/endpoint.h>
#include <uaio/stream.h>

#include <memory>
#include <optional>

namespace uaio {

class ListeningSocket;
class SocketShare;

namespace tcp {

struct ListenOptions {
    int backlog = 4096;         // listen(2); the system's net.core.somaxconn caps it
    bool reuse_address = true;  // SO_REUSEADDR: a restarted server gets its port back at once
    // SO_REUSEPORT: other sockets of this user may listen on the same port, those of other programs
    // too. The engines of one program need it not: see acceptor().
    bool reuse_port = false;
    StreamOptions stream;  // of the accepted connections
};

struct ConnectOptions {
    std::optional<Endpoint> local;  // where to connect from; the kernel's choice if unset
    // Ports that are tried, from that of `local` up, while one is in use (CURLOPT_LOCALPORTRANGE).
    unsigned local_ports = 1;
    // The index of the network interface that alone is used (if_nametoindex(3), SO_BINDTOIFINDEX of
    // Linux 5.0); 0: any.
    unsigned interface = 0;
    StreamOptions stream;
};

class Listener final : public Acceptor {
public:
    // Listens at once. Port 0: the kernel picks one, see local(). Throws std::system_error with the
    // errno of the call that failed and a what() that says which, and what to do. Any thread.
    Listener(Engine& engine, const Endpoint& endpoint, const ListenOptions& options = {});
    // Closes it, and returns when the address can be bound again. On another thread than the
    // engine's it waits for that one, at most EngineOptions::drain_timeout; a warning is logged if
    // that was not enough.
    ~Listener() override;

    // Errors beside those of the contract: the errno of accept(2). Two kinds are none, and the
    // accept goes on: a connection that died in the queue (ECONNABORTED), and want of descriptors
    // or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM), during which the connection waits in the queue.
    // That is tried again when a socket of this engine has closed, and every 100 ms; it is counted
    // in EngineStatistics::accept_pauses, and logged when it begins.
    void accept(Aio& aio, StreamPtr& out) override;
    // As Acceptor::close(). The address can be bound again when a pending accept has ended.
    void close() noexcept override;

    Engine* engine() const noexcept override;

    // The address it listens on, with the port that the kernel picked.
    Endpoint local() const { return local_; }

private:
    friend class Acceptors;
    explicit Listener(ListeningSocket& socket);

    ListeningSocket* socket_;
    Endpoint local_;
};

// An AcceptorFactory for servers on several engines: its listeners share one listening socket, and
// so one port and one queue of connections, as long as one of them is open. Another factory, or
// another program, gets EADDRINUSE as usual. With reuse_port each listener has a socket of its own,
// on the same port. A value: copies share. Any thread.
class Acceptors {
public:
    // Listens when it is called the first time.
    explicit Acceptors(const Endpoint& endpoint, const ListenOptions& options = {});

    // A Listener on `engine`. Throws as Listener's constructor.
    std::unique_ptr<Acceptor> operator()(Engine& engine) const;

    // The address, with the port that the kernel picked in place of port 0 once it listens.
    Endpoint local() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

Acceptors acceptor(const Endpoint& endpoint, const ListenOptions& options = {});

// Connects on the Aio's engine and puts the stream into `out`, which must live until the callback;
// endpoint and options are copied. The Aio's deadline and cancel hold for the connecting. Errors
// beside those of the contract: the errno of connect(2), such as ECONNREFUSED; not_enough_memory.
// Allocates. Any thread.
void connect(const Endpoint& endpoint, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept;

// Makes such connections to one place, as http::Client asks for them. Any thread.
class Connector final : public uaio::Connector {
public:
    explicit Connector(const Endpoint& endpoint, const ConnectOptions& options = {})
        : endpoint_(endpoint), options_(options) {}
    void connect(Aio& aio, StreamPtr& out) override { tcp::connect(endpoint_, options_, aio, out); }

private:
    Endpoint endpoint_;
    ConnectOptions options_;
};

}  // namespace tcp
}  // namespace uaio
