// TCP over IPv4 and IPv6: listeners and connects (tcp(7), ip(7), ipv6(7)). Their streams keep the
// contract of <uaio/stream.h>. Descriptors are close-on-exec.
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
    // Connections that the kernel holds until they are accepted (listen(2)); net.core.somaxconn
    // caps it. Beyond it the kernel drops connection requests, which peers repeat.
    int backlog = 4096;
    // SO_REUSEADDR (ip(7)): a restarted server gets its port back although connections of the old
    // process are in TIME_WAIT.
    bool reuse_address = true;
    // SO_REUSEPORT (socket(7)): other sockets of this user may listen on the same port, those of
    // other programs too, and the kernel spreads connections over them. Engines of one program
    // share a port without it: see acceptor().
    bool reuse_port = false;
    StreamOptions stream;  // of the accepted connections
};

struct ConnectOptions {
    // The address and port to connect from; unset, or with port 0: the kernel's choice. The connect
    // ends with the errno of bind(2): EADDRNOTAVAIL for an address that this machine lacks,
    // EADDRINUSE, EAFNOSUPPORT or EINVAL for another family than the peer's.
    std::optional<Endpoint> local;
    // The number of ports, from that of `local` up, that are tried while bind(2) ends with
    // EADDRINUSE (CURLOPT_LOCALPORTRANGE); 0 counts as 1.
    unsigned local_ports = 1;
    // The index of the only network interface to use (if_nametoindex(3), SO_BINDTOIFINDEX of Linux
    // 5.0); 0: any. ENODEV for an index that no interface has.
    unsigned interface = 0;
    StreamOptions stream;
};

// A listening socket on one engine.
class Listener final : public Acceptor {
public:
    // Listens at once: connections queue up in the kernel before the first accept(). Port 0: the
    // kernel picks one, see local_endpoint(). Throws std::system_error with the errno of the call
    // that failed and a what() that says which, and what to do: EADDRINUSE, EADDRNOTAVAIL, EACCES
    // for a port below 1024 (ip(7), ip_unprivileged_port_start), EMFILE; Errc::engine_lost after
    // the engine's end; std::bad_alloc. Any thread.
    Listener(Engine& engine, const Endpoint& endpoint, const ListenOptions& options = {});
    // Closes it, and returns when the address can be bound again. On another thread than the
    // engine's it waits for that one, at most EngineOptions::drain_timeout, or 2 s if that is zero;
    // a warning is logged if that was not enough.
    ~Listener() override;

    // As Acceptor::accept(). Errors beside those there: the errno of accept(2). Two kinds of it are
    // not reported, and the accept continues: a connection that died in the queue (ECONNABORTED),
    // and lack of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM), during which the
    // connection waits in the queue. The accept is tried again when a socket of this engine has
    // closed, and every 100 ms. Each pause is counted in EngineStatistics::accept_pauses, and
    // logged if there was none in the 10 s before.
    void accept(Aio& aio, StreamPtr& out) override;
    // As Acceptor::close(). The address can be bound again when a pending accept has ended.
    void close() noexcept override;

    Engine* engine() const noexcept override;

    // The address it listens on, with the port that the kernel picked (getsockname(2)). Read once
    // by the constructor, so it also stands after close(). Any thread.
    Endpoint local_endpoint() const { return local_; }

private:
    friend class Acceptors;
    explicit Listener(ListeningSocket& socket);

    ListeningSocket* socket_;
    Endpoint local_;
};

// An AcceptorFactory for servers on several engines: its listeners share one listening socket, and
// so one port and one queue of connections, as long as one of them is open. Another factory, or
// another program, gets EADDRINUSE as usual. With reuse_port each listener has a socket of its own,
// on the same port. Engines on io_uring and on epoll cannot share one socket: a factory whose
// listeners are on both needs reuse_port, or the second kind gets EADDRINUSE, with port 0 another
// port. A value: copies share. Any thread.
class Acceptors {
public:
    // Copies the arguments. It does not listen, and takes no port, before operator() is called the
    // first time. Throws std::bad_alloc.
    explicit Acceptors(const Endpoint& endpoint, const ListenOptions& options = {});

    // A Listener on `engine`. Throws what Listener's constructor throws. When the last of its
    // listeners has gone, the next call binds the endpoint anew: port 0 gets another port then.
    std::unique_ptr<Acceptor> operator()(Engine& engine) const;

    // The address; once operator() has been called, with the port that the kernel picked for port
    // 0.
    Endpoint local_endpoint() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

// Acceptors(endpoint, options), for http::Server::listen(): server.listen(tcp::acceptor(endpoint)).
Acceptors acceptor(const Endpoint& endpoint, const ListenOptions& options = {});

// Connects on the Aio's engine and puts the stream into `out`, which must live until the callback
// and is untouched after an error; endpoint and options are copied. The Aio's deadline and cancel
// hold for the connecting; without a deadline the kernel gives up after about 127 s
// (tcp_syn_retries in tcp(7)) with ETIMEDOUT. The Aio's buffers are not used, and count() is 0.
// Errors: Errc::canceled, timed_out, closed (the engine's end); the errno of connect(2), such as
// ECONNREFUSED, ENETUNREACH and EHOSTUNREACH, of socket(2), such as EMFILE, of setsockopt(2) and of
// bind(2); Errc::not_enough_memory, after which the connection may have been made and closed.
// Allocates. Any thread.
void connect(const Endpoint& endpoint, const ConnectOptions& options, Aio& aio,
             StreamPtr& out) noexcept;

// Makes connections by tcp::connect() to one endpoint, for http::Client and tls::Connector. Its
// origin() is not known, so that an http::Client over it takes host and port from its first
// request. Any thread.
class Connector final : public uaio::Connector {
public:
    // Copies the arguments.
    explicit Connector(const Endpoint& endpoint, const ConnectOptions& options = {})
        : endpoint_(endpoint), options_(options) {}
    // As tcp::connect(); the Connector may be destroyed before the callback.
    void connect(Aio& aio, StreamPtr& out) override { tcp::connect(endpoint_, options_, aio, out); }

private:
    Endpoint endpoint_;
    ConnectOptions options_;
};

}  // namespace tcp
}  // namespace uaio
