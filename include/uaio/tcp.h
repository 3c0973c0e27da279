// TCP over IPv4 and IPv6: listeners and connects (tcp(7), ip(7)).
#pragma once

#include <uaio/endpoint.h>
#include <uaio/stream.h>

#include <memory>
#include <optional>

namespace uaio {

class ListeningSocket;

namespace tcp {

struct ListenOptions {
    int backlog = 4096;         // listen(2); the system's net.core.somaxconn caps it
    bool reuse_address = true;  // SO_REUSEADDR: a restarted server gets its port back at once
    bool reuse_port = false;    // SO_REUSEPORT: several engines listen on one port
    StreamOptions stream;       // of the accepted connections
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
    ~Listener() override;

    // Errors beside those of the contract: the errno of accept(2), such as EMFILE; a connection
    // that died in the queue (ECONNABORTED) is not one, the accept goes on.
    void accept(Aio& aio, StreamPtr& out) override;
    void close() noexcept override;

    // The address it listens on, with the port that the kernel picked.
    Endpoint local() const { return local_; }

private:
    ListeningSocket* socket_;
    Endpoint local_;
};

// For servers on several engines: makes a Listener on each. With port 0 every engine would get a
// port of its own, so name one, and set reuse_port.
AcceptorFactory acceptor(const Endpoint& endpoint, const ListenOptions& options = {});

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
