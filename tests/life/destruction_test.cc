// The destruction matrix: every public object that runs operations, destroyed at every moment at
// which a program may do so. tests/engine/aio_destruction_test.cc covers Aios, engines and their
// threads.
#include <uaio/easy.h>
#include <uaio/http.h>
#include <uaio/local.h>
#include <uaio/resolver.h>
#include <uaio/tcp.h>

#include "tests/life/subject.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"
#include "tests/support/raw_peer.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include <doctest/doctest.h>

namespace uaio::life::destruction_test {

using namespace std::chrono_literals;

class TcpListener final : public Subject {
public:
    explicit TcpListener(Engine& engine)
        : listener_(std::in_place, engine, Endpoint::loopback(0)) {}
    void start(Aio& aio) override { listener_->accept(aio, out_); }
    bool close() override { return listener_->close(), true; }
    void destroy() override { listener_.reset(); }

private:
    std::optional<tcp::Listener> listener_;
    StreamPtr out_;
};

class LocalListener final : public Subject {
public:
    explicit LocalListener(Engine& engine)
        : listener_(std::in_place, engine, fresh_abstract_name()) {}
    void start(Aio& aio) override { listener_->accept(aio, out_); }
    bool close() override { return listener_->close(), true; }
    void destroy() override { listener_.reset(); }

private:
    std::optional<local::Listener> listener_;
    StreamPtr out_;
};

// A subject whose peer is a raw socket.
class WithPeer : public Subject {
public:
    bool peer_sees_end() override {
        peer_->read_some();
        return peer_->end() != RawPeer::End::open;
    }
    bool peer_sees_no_end() override { return !peer_sees_end(); }

protected:
    WithPeer() = default;

    // A stream to a raw peer.
    StreamPtr connect(Engine& engine) {
        const RawListener listener;
        StreamPtr stream;
        Aio aio(engine);
        tcp::connect(listener.endpoint(), {}, aio, stream);
        if (aio.wait()) throw std::system_error(aio.result());
        peer_.emplace(RawPeer::accept_from(listener.fd()));
        return stream;
    }

    std::optional<RawPeer> peer_;
    char byte_ = 0;
};

class TcpStream final : public WithPeer {
public:
    explicit TcpStream(Engine& engine) : stream_(connect(engine)) {}
    void start(Aio& aio) override {
        aio.set_iov(&byte_, 1);
        stream_->read(aio);
    }
    bool close() override { return stream_->close(), true; }
    void destroy() override { stream_.reset(); }

private:
    StreamPtr stream_;
};

class HttpConnection final : public WithPeer {
public:
    explicit HttpConnection(Engine& engine) : connection_(std::in_place, connect(engine)) {}
    void start(Aio& aio) override { connection_->read_request(request_, aio); }
    bool close() override { return connection_->close(), true; }
    void destroy() override { connection_.reset(); }

private:
    std::optional<http::Connection> connection_;
    http::Request request_;
};

// A request waits for its content, and the server drains.
class HttpServer final : public WithPeer {
public:
    explicit HttpServer(Engine& engine) : server_(std::in_place, engine) {
        server_->handle("POST", "/", [](http::Exchange& exchange) { exchange.respond(); });
        Endpoint endpoint;
        server_->listen([&](Engine& on) {
            auto listener = std::make_unique<tcp::Listener>(on, Endpoint::loopback(0));
            endpoint = listener->local_endpoint();
            return listener;
        });
        peer_.emplace(RawPeer::connect_tcp(endpoint));
        peer_->send(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Aio turn(engine);
        while (peer_->read_some() == 0) {  // "100 Continue"
            submit_nop(turn);
            REQUIRE(!turn.wait());
        }
    }
    void start(Aio& aio) override { server_->drain(aio); }
    void destroy() override { server_.reset(); }
    std::error_code end_of_destruction() const override { return {}; }  // no connection is left
    std::error_code end_without_engine() const override { return {}; }

private:
    std::optional<http::Server> server_;
};

class HttpClient final : public Subject {
public:
    explicit HttpClient(Engine&)
        : connector_(std::in_place, silent_.endpoint()), client_(std::in_place, *connector_) {}
    void start(Aio& aio) override { client_->transact(request_, response_, aio); }
    void destroy() override {
        client_.reset();
        connector_.reset();  // only the client uses it
    }

private:
    RawListener silent_;
    std::optional<tcp::Connector> connector_;
    std::optional<http::Client> client_;
    http::Request request_{"http://h/"};
    http::Response response_;
};

// A lookup that lasts until the subject is destroyed.
class NameResolver final : public Subject {
public:
    explicit NameResolver(Engine&)
        : resolver_(std::in_place,
                    ResolverOptions{.threads = 1, .lookup = [gate = gate_](auto&&...) {
                                        std::unique_lock lock(gate->mutex);
                                        gate->opens.wait(lock, [&] { return gate->open; });
                                        return std::error_code(Errc::canceled);
                                    }}) {}
    ~NameResolver() override {
        const std::lock_guard lock(gate_->mutex);
        gate_->open = true;
        gate_->opens.notify_all();
    }
    void start(Aio& aio) override {
        resolver_->resolve("host.test", 80, AddressFamily::any, aio, out_);
    }
    void destroy() override { resolver_.reset(); }

private:
    struct Gate {
        std::mutex mutex;
        std::condition_variable opens;
        bool open = false;
    };

    std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
    std::optional<Resolver> resolver_;
    std::vector<Endpoint> out_;
};

class EasyConnection final : public WithPeer {
public:
    explicit EasyConnection(Engine& engine) : connection_(std::in_place, engine) {
        const RawListener listener;
        easy::Options options;
        options.proxy = "";
        Aio aio(engine);
        connection_->connect("tcp://" + listener.endpoint().to_string(), options, aio);
        if (aio.wait()) throw std::system_error(aio.result());
        peer_.emplace(RawPeer::accept_from(listener.fd()));
    }
    void start(Aio& aio) override {
        aio.set_iov(&byte_, 1);
        connection_->receive(aio);
    }
    bool close() override { return connection_->close(), true; }
    void destroy() override { connection_.reset(); }
    std::error_code end_of_late_start() const override { return Errc::not_connected; }
    std::error_code end_without_engine() const override { return Errc::not_connected; }

private:
    std::optional<easy::Connection> connection_;
};

// A connect through a proxy that never answers; after a close() another connect may follow.
class EasyConnect final : public Subject {
public:
    explicit EasyConnect(Engine& engine) : connection_(std::in_place, engine) {
        options_.proxy = "socks5h://" + silent_.endpoint().to_string();
    }
    void start(Aio& aio) override { connection_->connect("tcp://host.test:9", options_, aio); }
    void destroy() override { connection_.reset(); }

private:
    RawListener silent_;
    easy::Options options_;
    std::optional<easy::Connection> connection_;
};

template <class T>
std::unique_ptr<Subject> make(Engine& engine) {
    return std::make_unique<T>(engine);
}

constexpr Row kRows[] = {
    {"tcp::Listener", &make<TcpListener>},
    {"local::Listener", &make<LocalListener>},
    {"Stream", &make<TcpStream>},
    {"http::Connection", &make<HttpConnection>},
    {"http::Server", &make<HttpServer>},
    {"http::Client", &make<HttpClient>},
    {"easy::Connection", &make<EasyConnection>},
    {"easy::Connection, connecting", &make<EasyConnect>},
    {"Resolver", &make<NameResolver>},
};
// Without the resolver, which uses any engine.
constexpr std::span kRowsOfOneEngine = std::span(kRows).first<std::size(kRows) - 1>();

TEST_CASE_TEMPLATE("the destructor of an idle object closes its descriptors", Kernel, OnLinux,
                   OnPoll) {
    destroy_idle(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("the destructor of an object ends its operation once with closed", Kernel,
                   OnLinux, OnPoll) {
    destroy_busy(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("an object may be destroyed in the callback of its own operation", Kernel,
                   OnLinux, OnPoll) {
    destroy_in_own_callback(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a busy object may be destroyed on another thread", Kernel, OnLinux, OnPoll) {
    destroy_on_another_thread(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("an object may be destroyed before its engine starts an accepted operation",
                   Kernel, OnLinux, OnPoll) {
    destroy_before_start(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a busy object may be destroyed before its engine runs", Kernel, OnLinux,
                   OnPoll) {
    destroy_before_run(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a close on another thread ends a chain of resubmissions", Kernel, OnLinux,
                   OnPoll) {
    close_while_resubmitting(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a busy object may be destroyed after its engine", Kernel, OnLinux, OnPoll) {
    destroy_after_engine(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("an operation on an object whose engine was destroyed ends with closed", Kernel,
                   OnLinux, OnPoll) {
    use_after_engine(Kernel::kKind, kRowsOfOneEngine);
}

TEST_CASE_TEMPLATE("a busy object may be destroyed by exit(), before its engine or after", Kernel,
                   OnLinux, OnPoll) {
    destroy_at_exit(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a forked child that destroys an object does not affect the parent's", Kernel,
                   OnLinux, OnPoll) {
    destroy_in_forked_child(Kernel::kKind, kRows);
}

}  // namespace uaio::life::destruction_test
