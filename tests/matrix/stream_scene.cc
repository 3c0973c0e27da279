#include "tests/matrix/stream_scene.h"

#include <uaio/tcp.h>

#include "tests/support/raw_peer.h"

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

constexpr std::size_t kRead = 100;
constexpr std::size_t kWrite = 1 << 20;

const std::string& outgoing() {
    static const std::string content = pattern(kWrite);
    return content;
}

}  // namespace

StreamScene::StreamScene(const Transport& transport, Made made)
    : scene_(transport), made_(made), incoming_(kRead, '\0') {
    REQUIRE(outgoing().size() == kWrite);
    if (made_ == Made::dialled) {
        place_ = &scene_.kernel.listen_peer();
        port_ = place_->port();
        return;
    }
    const AcceptorFactory factory = transport.acceptor([this](Engine& engine) {
        auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        port_ = listener->local_endpoint().port();
        return listener;
    });
    listener_ = factory(scene_.engine);
}

StreamScene::~StreamScene() {
    scene_.stop_repeating();
    victim_.peer.reset();
    other_.peer.reset();
}

bool StreamScene::accept(Pair& pair) {
    Operation accepting(scene_.engine);
    listener_->accept(accepting.aio, pair.stream);
    pair.peer = scene_.adopt(scene_.kernel.connect_peer(port_), Transport::Side::client);
    return scene_.run(1s, [&] { return accepting.done() && pair.peer->is_ready(); }) && pair.stream;
}

bool StreamScene::dial(Pair& pair) {
    place_->on_accept(
        [&](SimPeer& socket) { pair.peer = scene_.adopt(socket, Transport::Side::server); });
    pair.easy = std::make_unique<easy::Connection>(scene_.engine);
    easy::Options options;
    options.proxy = "";
    options.tls_context = scene_.transport.context;
    options.resolve = {"localhost:" + std::to_string(port_) + ":127.0.0.1"};
    Operation connecting(scene_.engine);
    pair.easy->connect(
        (scene_.transport.tls ? "tls://localhost:" : "tcp://localhost:") + std::to_string(port_),
        options, connecting.aio);
    return scene_.run(1s, [&] {
        return connecting.done() && pair.peer && pair.peer->is_ready();
    }) && connecting.ended() == success(0);
}

void StreamScene::begin(std::string_view phase, Operation& operation) {
    const bool writes = phase.find("write") != std::string_view::npos;
    writes ? operation.aio.set_iov(outgoing().data(), kWrite)
           : operation.aio.set_iov(incoming_.data(), kRead);
    operation.aio.set_timeout(kOperation);
    if (phase == "write some") return victim_.write(operation.aio);
    writes ? victim_.write_all(operation.aio) : victim_.read_all(operation.aio);
}

std::string StreamScene::judge(const Phase& phase, const Cell& cell, Operation& operation) {
    if (!scene_.run(cell.ends + 10s, [&] { return operation.done(); })) {
        return "the operation is pending; ";
    }
    std::string fault = judge_time("the operation", scene_.elapsed(), cell.ends, 0s);
    const Ended ended = operation.ended();
    if (ended.calls != 1) fault += "it completed " + std::to_string(ended.calls) + " times; ";
    if (ended.error != cell.error) {
        fault += "it ended with " + ended.error.message() + " in place of " + cell.error.message() +
                 "; ";
    }
    std::size_t count = cell.count;
    const SimPeer& socket = victim_.peer->socket();
    if (count == kCounted) {  // taken from the peer's bytes, if it still has all of them
        const bool all = !scene_.transport.tls && socket.state() == SimPeer::State::connected;
        count = all ? socket.received().size() + socket.unread() - before_ : ended.count;
        if (std::string_view(phase.name) == "write some" && ended.count == 0) count = 1;
    }
    if (ended.count != count) {
        fault += "its count is " + std::to_string(ended.count) + " in place of " +
                 std::to_string(count) + "; ";
    }
    return fault;
}

std::string StreamScene::judge_other() {
    std::string in(4, '\0');
    Operation reading(scene_.engine, in);
    Operation writing(scene_.engine, "pong");
    other_.read_all(reading.aio);
    other_.write_all(writing.aio);
    other_.peer->send("ping");
    const bool ended = scene_.run(1s, [&] { return reading.done() && writing.done(); });
    scene_.settle();
    return ended && in == "ping" && other_.peer->received().ends_with("pong")
               ? ""
               : "another stream is pending; ";
}

// After the stream's close its descriptor is closed, and the peer gets the end.
std::string StreamScene::judge_end(nanoseconds ends) {
    static_cast<void>(scene_.run(ends + 10s, [this] { return scene_.is_idle(); }));
    std::string fault = judge_time("closing", scene_.elapsed(), ends, kCloseTls);
    scene_.settle();
    const SimPeer& socket = victim_.peer->socket();
    if (socket.state() != SimPeer::State::closed) {
        if (!victim_.peer->saw_end()) fault += "the peer receives no end; ";
        if (socket.unsent() > 0) fault += "the peer's send is blocked; ";
    }
    return fault + scene_.excess(socket.received().size());
}

std::string StreamScene::play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    const std::string_view name = phase.name;
    const bool closing = name.starts_with("closing");
    if (!join(other_) || judge_other() != "") return "no other stream";
    scene_.settle();
    scene_.remember_idle();
    if (!join(victim_)) return "no stream";
    scene_.settle();
    SimPeer& socket = victim_.peer->socket();
    before_ = socket.received().size();
    Operation operation(scene_.engine);
    if (phase.reads != std::string::npos) {
        if (phase.reads > 0) socket.set_window(1);
        socket.read_more(phase.reads);
        begin(name, operation);
        if (!scene_.run(1s, [&] { return socket.received().size() == before_ + phase.reads; })) {
            return "the first bytes are not written";
        }
    }
    victim_.peer->send(lead_of(phase, behaviour));
    scene_.settle();
    scene_.mark();
    std::string fault;
    if (name != "closing" && phase.reads == std::string::npos && name != "idle") {
        begin(name, operation);
    }
    if (closing) victim_.close();
    misbehave(scene_, *victim_.peer, phase, behaviour);
    if (name == "idle") {
        scene_.settle();
        begin(name, operation);
    }
    if (name != "closing") fault += judge(phase, cell, operation);
    if (behaviour != Behaviour::flood) fault += judge_other();
    if (!closing) scene_.mark();
    if (!closing) victim_.close();
    fault += judge_end(0s);
    scene_.stop_repeating();
    socket.reset();  // with its unread bytes
    victim_.peer.reset();
    victim_.destroy();
    fault += scene_.leftovers();
    other_.destroy();
    other_.peer.reset();
    listener_.reset();
    static_cast<void>(scene_.run(10s, [this] { return scene_.kernel.open_descriptors() == 0; }));
    if (scene_.kernel.open_descriptors() > 0) fault += "sockets are left; ";
    if (scene_.engine.statistics().in_flight > 0) fault += "Aios are left; ";
    return fault;
}

}  // namespace uaio::matrix
