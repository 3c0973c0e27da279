#include "tests/support/connection_fixture.h"

#include <uaio/local.h>
#include <uaio/tcp.h>

#include "tests/support/turns.h"

#include <poll.h>
#include <unistd.h>

#include <memory>
#include <ostream>

namespace uaio {
namespace {

constexpr int kSmallSendBuffer = 32 * 1024;
constexpr int kSmallReceiveBuffer = 16 * 1024;
constexpr std::chrono::milliseconds kTurn{1};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Ended& ended) {
    return out << ended.calls << " calls, " << ended.error.message() << " (" << ended.error << "), "
               << ended.count << " bytes";
}

ConnectionFixture::ConnectionFixture(KernelKind kind, const ConnectionFixtureOptions& options) {
    kind == OnSim::kKind ? connect_simulated(options) : connect_real(kind, options);
}

void ConnectionFixture::connect_simulated(const ConnectionFixtureOptions& options) {
    kernel_.emplace(1);
    engine_.emplace(*kernel_, options.engine);
    StreamPtr accepted;
    Operation accept(*engine_);
    std::unique_ptr<Acceptor> listener;
    SimPeer* peer = nullptr;
    if (options.unix_socket) {
        listener = std::make_unique<local::Listener>(
            *engine_, fresh_abstract_name(), local::ListenOptions{.stream = options.stream});
        peer = &kernel_->connect_peer(static_cast<local::Listener&>(*listener).path());
    } else {
        tcp::ListenOptions listen;
        listen.stream = options.stream;
        auto tcp = std::make_unique<tcp::Listener>(*engine_, Endpoint::loopback(0), listen);
        peer = &kernel_->connect_peer(tcp->local_endpoint().port());
        listener = std::move(tcp);
    }
    listener->accept(accept.aio, accepted);
    REQUIRE(run_until_done(accept));
    REQUIRE(accept.ended() == success(0));
    peer_.emplace(*kernel_, *peer);
    connection_.emplace(std::move(accepted), options.http);
}

void ConnectionFixture::connect_real(KernelKind kind, const ConnectionFixtureOptions& options) {
    engine_.emplace(options_on(kind, options.engine));
    StreamOptions stream = options.stream;
    if (!options.large_buffers) stream.send_buffer = kSmallSendBuffer;
    const int receive_buffer = options.large_buffers ? 0 : kSmallReceiveBuffer;
    StreamPtr accepted;
    Operation accept(*engine_);
    if (options.unix_socket) {
        local::Listener listener(*engine_, fresh_abstract_name(), {.stream = stream});
        listener.accept(accept.aio, accepted);
        peer_.emplace(RawPeer::connect_local(listener.path()));
        REQUIRE(run_until_done(accept));
    } else {
        tcp::ListenOptions listen;
        listen.stream = stream;
        tcp::Listener listener(*engine_, Endpoint::loopback(0), listen);
        listener.accept(accept.aio, accepted);
        peer_.emplace(RawPeer::connect_tcp(listener.local_endpoint(), receive_buffer));
        REQUIRE(run_until_done(accept));
    }
    REQUIRE(accept.ended() == success(0));
    connection_.emplace(std::move(accepted), options.http);
}

bool ConnectionFixture::run_until(const std::function<bool()>& done) {
    return uaio::run_until(*engine_, done);
}

bool ConnectionFixture::run_until_blocked() {
    return run_until([this] { return peer_->unread() > 0 && blocked(); });
}

bool ConnectionFixture::blocked() {
    if (kernel_) {  // anything still on its way arrives within a turn
        const std::size_t before = peer_->unread();
        run_some();
        return peer_->unread() == before;
    }
    pollfd entry{connection_->stream().native_handle(), POLLOUT, 0};
    return ::poll(&entry, 1, 0) == 0;
}

void ConnectionFixture::run_some() { uaio::run_some(*engine_); }

const std::string& ConnectionFixture::receive(std::size_t total) {
    const Clock::time_point limit = Clock::now() + kPatience;
    while (peer_->received().size() < total && peer_->end() == FarEnd::End::open) {
        const bool moved = peer_->read_some(total - peer_->received().size()) > 0;
        engine_->run_once(moved ? std::chrono::nanoseconds::zero() : kTurn);
        REQUIRE(Clock::now() < limit);
    }
    return peer_->received();
}

Ended ConnectionFixture::follow_up() {
    Operation write(*engine_, "tail");
    connection_->write_all(write.aio);
    const Clock::time_point limit = Clock::now() + kPatience;
    while (!write.done()) {
        peer_->read_some();
        engine_->run_once(kTurn);
        REQUIRE(Clock::now() < limit);
    }
    return write.ended();
}

std::vector<iovec> entries_of(std::string_view bytes, std::size_t entries) {
    std::vector<iovec> list;
    const std::size_t part = bytes.size() / entries;
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t size = i + 1 < entries ? part : bytes.size() - i * part;
        list.push_back({const_cast<char*>(bytes.data()) + i * part, size});
    }
    return list;
}

std::string fresh_abstract_name() {
    static std::atomic<unsigned> next{0};
    return "@uaio-test-" + std::to_string(::getpid()) + "-" + std::to_string(next.fetch_add(1));
}

}  // namespace uaio
