// A tls::Listener with clients that send nothing, or stop midway.
#include <uaio/argument_error.h>
#include <uaio/engine_group.h>
#include <uaio/provider.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/destroy_at_once.h"
#include "tests/support/raw_peer.h"
#include "tests/support/tls/ends.h"

#include <malloc.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

namespace uaio::tls_listener_test {

using namespace std::chrono_literals;

// A listener that accepts every connection, and records failures.
class Crowd {
public:
    explicit Crowd(KernelKind kind, const tls::ListenerOptions& options) {
        if (kind == OnSim::kKind) kernel_.emplace(1);
        kernel_ ? engine_.emplace(*kernel_) : engine_.emplace(options_on(kind));
        accept_.emplace(*engine_, [this](Aio& done) {
            if (done.result()) return;
            streams_.push_back(std::move(stream_));
            listener_->accept(*accept_, stream_);
        });
        tls::ContextOptions server = server_options();
        server.on_failure = [this](std::error_code error) { failures_.push_back(error); };
        server_.emplace(server);
        auto below = std::make_unique<tcp::Listener>(*engine_, Endpoint::loopback(0));
        endpoint_ = below->local_endpoint();
        listener_.emplace(*engine_, std::move(below), *server_, options);
        listener_->accept(*accept_, stream_);
    }
    ~Crowd() {
        listener_->close();
        CHECK(run_until([this] { return !accept_->busy(); }));
    }

    Engine& engine() { return *engine_; }
    const Endpoint& endpoint() const { return endpoint_; }
    const tls::Context& server() const { return *server_; }
    const std::vector<std::error_code>& failures() const { return failures_; }
    std::size_t failures(Errc error) const {
        return static_cast<std::size_t>(std::ranges::count(failures_, make_error_code(error)));
    }
    std::size_t accepted() const { return streams_.size(); }
    bool run_until(const std::function<bool()>& done) { return uaio::run_until(*engine_, done); }
    void run_some() { uaio::run_some(*engine_); }

    // A plain connection on the same engine, which sends some bytes at once.
    StreamPtr connect_plain(const std::string& bytes = {}) {
        StreamPtr stream;
        Operation connect(*engine_);
        tcp::connect(endpoint_, {}, connect.aio, stream);
        REQUIRE(run_until([&] { return connect.done(); }));
        REQUIRE(stream);
        if (bytes.empty()) return stream;
        Operation write(*engine_, bytes);
        stream->write_all(write.aio);
        REQUIRE(run_until([&] { return write.done(); }));
        return stream;
    }
    // A client that completes the handshake.
    Ended connect() {
        tcp::Connector below(endpoint_);
        tls::Connector connector(below, client_, to_localhost());
        StreamPtr stream;
        Operation connect(*engine_);
        connector.connect(connect.aio, stream);
        const std::size_t before = accepted();
        REQUIRE(run_until([&] { return connect.done() && accepted() > before; }));
        return connect.ended();
    }

private:
    tls::Context client_{client_options()};
    std::optional<SimKernel> kernel_;
    std::optional<Engine> engine_;
    std::vector<std::error_code> failures_;
    std::optional<tls::Context> server_;
    Endpoint endpoint_;
    StreamPtr stream_;
    std::vector<StreamPtr> streams_;
    std::optional<tls::Listener> listener_;
    std::optional<Aio> accept_;
};

TEST_CASE_TEMPLATE("silent clients of a tls listener do not delay others", Kernel, OnLinux,
                   OnPoll) {
    constexpr std::size_t kLimit = 100;
    // No timeout for a whole handshake applies.
    Crowd crowd(Kernel::kKind, {.handshake_timeout = kNoTimeout, .handshakes = kLimit});
    std::deque<RawPeer> silent;
    for (std::size_t i = 0; i < 2 * kLimit; ++i) {
        silent.push_back(RawPeer::connect_tcp(crowd.endpoint()));
        if (i % 50 == 0) crowd.run_some();  // the queue of the listening socket is short
    }
    CHECK(crowd.connect() == success(0));
    CHECK(crowd.connect() == success(0));
    // Each new one replaced the oldest.
    CHECK(crowd.failures().size() == crowd.failures(Errc::timed_out));
    CHECK(crowd.failures().size() >= kLimit);
    CHECK(crowd.failures().size() <= kLimit + 2);
    CHECK(crowd.server().failures() == crowd.failures().size());
    CHECK(crowd.run_until([&] {
        silent.front().read_some();
        return silent.front().end() != RawPeer::End::open;
    }));
    silent.back().read_some();
    CHECK(silent.back().end() == RawPeer::End::open);
}

TEST_CASE("a tls listener refuses a null acceptor and one of another engine") {
    Engine engine(options_on(KernelKind::epoll));
    Engine other(options_on(KernelKind::epoll));
    const tls::Context context(server_options());
    CHECK_THROWS_AS(tls::Listener(engine, nullptr, context), std::invalid_argument);
    auto below = std::make_unique<tcp::Listener>(other, Endpoint::loopback(0));
    CHECK_THROWS_AS(tls::Listener(engine, std::move(below), context), std::invalid_argument);
    const tls::Listener listener(
        engine, std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0)), context);
    CHECK(listener.engine() == &engine);
}

// Ends each accept without an error and without a stream.
class EmptyAcceptor : public Acceptor {
public:
    explicit EmptyAcceptor(Engine& engine) : engine_(engine) {}
    void accept(Aio& aio, StreamPtr&) override {
        Provider::submit(
            engine_, aio, [](Aio& started) noexcept { Provider::finish(started); }, nullptr);
    }
    void close() noexcept override {}

private:
    Engine& engine_;
};

TEST_CASE("a tls listener reports no_stream for an acceptor without a stream") {
    SimKernel kernel(1);
    Engine engine(kernel);
    const tls::Context context(server_options());
    tls::Listener listener(engine, std::make_unique<EmptyAcceptor>(engine), context);
    StreamPtr stream;
    Operation accept(engine);
    listener.accept(accept.aio, stream);
    static_cast<void>(accept.aio.wait());
    CHECK(accept.ended() == failure(ArgumentErrc::no_stream));
    CHECK(!stream);
}

TEST_CASE("a tls listener's handshake_timeout of any value is a limit or none") {
    using std::chrono::nanoseconds;
    for (const nanoseconds timeout : {nanoseconds::min(), nanoseconds(-1), 0ns}) {
        Crowd crowd(OnSim::kKind, {.handshake_timeout = timeout});
        const StreamPtr silent = crowd.connect_plain("\x16\x03");
        CHECK(crowd.run_until([&] { return crowd.failures().size() == 1; }));
        CHECK(crowd.failures(Errc::timed_out) == 1);
    }
    for (const nanoseconds timeout : {nanoseconds::max() - 1ns, kNoTimeout}) {
        Crowd crowd(OnSim::kKind, {.handshake_timeout = timeout});
        CHECK(crowd.connect() == success(0));
        CHECK(crowd.failures().empty());
    }
}

TEST_CASE_TEMPLATE("a silent client of a tls listener uses no memory for TLS", Kernel, OnLinux,
                   OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::size_t kClients = 300;
    Crowd crowd(Kernel::kKind, {.handshake_timeout = kNoTimeout, .handshakes = 2 * kClients});
    CHECK(crowd.connect() == success(0));  // makes the allocations of a process's lifetime
    std::deque<RawPeer> silent;
    const auto join = [&](std::size_t clients) {
        for (std::size_t i = 0; i < clients; ++i) {
            silent.push_back(RawPeer::connect_tcp(crowd.endpoint()));
            crowd.engine().run_once(1ms);
            crowd.engine().run_once(0ns);
        }
        crowd.run_some();
    };
    join(20);
    const auto taken = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
    const std::size_t before = taken();
    join(kClients);
    const std::size_t each = (taken() - before) / kClients;
    MESSAGE(each << " bytes for each silent client");
    CHECK(each > 0);
    CHECK(each <= 1664 + sizeof(Aio));
    CHECK(crowd.failures().empty());
}

TEST_CASE_TEMPLATE("a tls listener's port is free when its destructor returns on another thread",
                   Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    const tls::Context server(server_options());
    const Endpoint endpoint = tcp::Listener(io.engine(), Endpoint::loopback(0)).local_endpoint();
    for (int round = 0; round < 50; ++round) {
        StreamPtr stream;
        Operation accept(io.engine());
        std::unique_ptr<tcp::Listener> below;
        REQUIRE_NOTHROW(below = std::make_unique<tcp::Listener>(io.engine(), endpoint));
        auto listener = std::make_unique<tls::Listener>(io.engine(), std::move(below), server);
        if (round % 2 == 0) listener->accept(accept.aio, stream);
        listener.reset();
        if (round % 2 == 0) CHECK(accept.aio.wait() == Errc::closed);
    }
}

TEST_CASE("tls::accept allocates no TLS state before the peer's first byte") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    TlsEnds ends;
    ends.joined();
    TlsEnds silent;
    const auto taken = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
    const tls::Context server(server_options());
    StreamPtr out;
    Operation accept(silent.engine());
    silent.run_some();
    const std::size_t before = taken();
    tls::accept(server, silent.server_below(), accept.aio, out);
    silent.run_some();
    CHECK(taken() - before <= 6 * 1024);
    silent.to_server().cut_at(0);
    REQUIRE(silent.run_until([&] { return accept.done(); }));
    CHECK(accept.ended() == failure(Errc::truncated));
    CHECK(server.failures() == 1);
}

TEST_CASE("a tls listener ends a handshake that stalls for a second while others wait") {
    Crowd crowd(OnSim::kKind, {.handshake_timeout = kNoTimeout, .handshakes = 8});
    std::vector<StreamPtr> stopped;
    for (int i = 0; i < 20; ++i)
        stopped.push_back(crowd.connect_plain("\x16\x03"));
    crowd.run_some();
    const Clock::time_point start = crowd.engine().now();
    CHECK(crowd.connect() == success(0));
    CHECK(crowd.engine().now() - start >= 1s);
    CHECK(crowd.engine().now() - start <= 4s);  // 20 are ahead of it, and 8 run at a time
    CHECK(crowd.failures().size() == crowd.failures(Errc::timed_out));
    CHECK(crowd.failures().size() >= 13);
}

TEST_CASE("the handshake timeout of a tls listener starts at the accept") {
    for (const bool sends : {false, true}) {
        Crowd crowd(OnSim::kKind, {.handshake_timeout = 10s});
        const Clock::time_point start = crowd.engine().now();
        const StreamPtr client = crowd.connect_plain();
        Pipe nothing;
        PipeStream timer(crowd.engine(), nothing, nothing);
        std::string in(1, '\0');
        Operation wait(crowd.engine(), in);
        wait.aio.set_timeout(6s);
        timer.read(wait.aio);
        REQUIRE(crowd.run_until([&] { return wait.done(); }));
        Operation write(crowd.engine(), "\x16");
        if (sends) client->write_all(write.aio);
        REQUIRE(crowd.run_until([&] { return !crowd.failures().empty(); }));
        CHECK(crowd.failures(Errc::timed_out) == 1);
        const auto passed = crowd.engine().now() - start;
        CHECK(passed >= 10s);
        CHECK(passed < 11s);
    }
}

TEST_CASE_TEMPLATE("a tls listener may be destroyed while another thread destroys its engine",
                   Kernel, OnLinux, OnPoll) {
    const tls::Context context;
    destroy_at_once(Kernel::kKind, [&](Engine& engine) {
        return std::make_unique<tls::Listener>(
            engine, std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0)), context);
    });
}

}  // namespace uaio::tls_listener_test
