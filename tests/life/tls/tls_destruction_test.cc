// The rows of the destruction matrix that need OpenSSL.
#include <uaio/tcp.h>

#include "tests/life/subject.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/raw_peer.h"
#include "tests/support/tls/ends.h"
#include "tests/support/turns.h"

#include <memory>
#include <optional>

namespace uaio::life::tls_destruction_test {

class TlsListener final : public Subject {
public:
    explicit TlsListener(Engine& engine)
        : listener_(std::in_place, engine,
                    std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0)),
                    tls::Context(server_options())) {}
    void start(Aio& aio) override { listener_->accept(aio, out_); }
    bool close() override { return listener_->close(), true; }
    void destroy() override { listener_.reset(); }

private:
    std::optional<tls::Listener> listener_;
    StreamPtr out_;
};

// The client's end of a connection whose server's end does nothing.
class TlsStream final : public Subject {
public:
    explicit TlsStream(Engine& engine) {
        auto below = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        tcp::Connector plain(below->local_endpoint());
        tls::Listener listener(engine, std::move(below), tls::Context(server_options()));
        tls::Connector connector(plain, tls::Context(client_options()), to_localhost());
        Aio accept(engine);
        Aio connect(engine);
        listener.accept(accept, server_);
        connector.connect(connect, client_);
        if (accept.wait()) throw std::system_error(accept.result());
        if (connect.wait()) throw std::system_error(connect.result());
    }
    void start(Aio& aio) override {
        aio.set_iov(&byte_, 1);
        client_->read(aio);
    }
    bool close() override { return client_->close(), true; }
    void destroy() override { client_.reset(); }

private:
    StreamPtr server_;
    StreamPtr client_;
    char byte_ = 0;
};

template <class T>
std::unique_ptr<Subject> make(Engine& engine) {
    return std::make_unique<T>(engine);
}

constexpr Row kRows[] = {
    {"tls::Listener", &make<TlsListener>},
    {"tls stream", &make<TlsStream>},
};

TEST_CASE_TEMPLATE("a busy tls object may be destroyed on another thread", Kernel, OnLinux,
                   OnPoll) {
    destroy_on_another_thread(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a tls object may be destroyed before its engine starts an accepted operation",
                   Kernel, OnLinux, OnPoll) {
    destroy_before_start(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("a busy tls object may be destroyed before its engine runs", Kernel, OnLinux,
                   OnPoll) {
    destroy_before_run(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("an operation on a tls object whose engine was destroyed ends with closed",
                   Kernel, OnLinux, OnPoll) {
    use_after_engine(Kernel::kKind, kRows);
}

TEST_CASE_TEMPLATE("tls::connect over a stream whose engine was destroyed ends with closed", Kernel,
                   OnLinux, OnPoll) {
    auto engine = std::make_unique<Engine>(options_on(Kernel::kKind));
    const RawListener listener;
    StreamPtr below;
    {
        Aio aio(*engine);
        tcp::connect(listener.endpoint(), {}, aio, below);
        REQUIRE(!aio.wait());
    }
    engine.reset();
    Engine other(options_on(Kernel::kKind));
    Operation connect(other);
    StreamPtr out;
    tls::connect(tls::Context(client_options()), std::move(below), to_localhost(), connect.aio,
                 out);
    REQUIRE(run_until(other, [&] { return connect.done(); }));
    CHECK(connect.ended() == failure(Errc::closed));
    CHECK(!out);
}

}  // namespace uaio::life::tls_destruction_test
