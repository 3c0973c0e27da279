#include "tests/matrix/dial_scene.h"

#include <string_view>

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

// The name of a phase begins with the target of its dial.
bool begins(const Phase& phase, std::string_view what) {
    return std::string_view(phase.name).starts_with(what);
}

}  // namespace

DialScene::DialScene(const Transport& transport)
    : scene_(transport),
      proxy_(scene_.kernel.listen_peer()),
      target_(scene_.kernel.listen_peer()),
      connection_(std::make_unique<easy::Connection>(scene_.engine)) {
    proxy_.on_accept([this](SimPeer& socket) { accept(socket); });
    target_.on_accept(
        [this](SimPeer& socket) { good_ = scene_.adopt(socket, Transport::Side::server); });
}

DialScene::~DialScene() {
    scene_.stop_repeating();
    if (victim_) victim_->socket().reset();  // with its unread bytes
    victim_.reset();
    good_.reset();
}

void DialScene::accept(SimPeer& socket) {
    victim_ = scene_.adopt(socket, Transport::Side::server, held_);
    if (reads_ == std::string::npos) return;
    socket.read_nothing();
    socket.read_more(reads_);
}

easy::Options DialScene::options_for(const Phase& phase) const {
    easy::Options options;
    const std::string port = std::to_string(proxy_.port());
    const bool over_tls = scene_.transport.tls && !begins(phase, "tunnel");
    options.proxy = (begins(phase, "SOCKS") ? "socks5h://user:password@localhost:"
                     : over_tls             ? "https://localhost:"
                                            : "http://localhost:") +
                    port;
    options.no_proxy = "";
    options.resolve = {"localhost:" + port + ":127.0.0.1"};
    options.timeout = kDial;
    options.tls_context = options.proxy_tls_context = scene_.transport.context;
    return options;
}

// Up to the misbehaviour. False if the dialer fails before it.
bool DialScene::lead(const Phase& phase, Behaviour behaviour) {
    const bool reading = phase.reads != std::string::npos;
    const bool sends_first = !held_ || begins(phase, "TLS");
    if (!scene_.run(1s, [this] { return victim_ != nullptr; })) return false;
    SimPeer& socket = victim_->socket();
    if (reading) return scene_.run(1s, [&] { return socket.received().size() == phase.reads; });
    const std::string& lead = lead_of(phase, behaviour);
    if (held_) {
        if (begins(phase, "tunnel")) socket.send("HTTP/1.1 200 OK\r\n\r\n");
        if (!scene_.run(1s, [&] { return !socket.received().empty(); })) return false;
        scene_.settle();
        if (lead == "part") socket.send(victim_->flight().substr(0, 20));
        if (lead == "record") socket.send({"\x16\x03\x03\x40\x00", 5});
        return true;
    }
    if (sends_first && !scene_.run(1s, [&] { return !victim_->received().empty(); })) return false;
    victim_->send(lead);
    scene_.settle();
    return true;
}

std::string DialScene::judge(const Cell& cell, Operation& dial) {
    if (!scene_.run(cell.ends + 10s, [&] { return dial.done(); })) return "the dial is pending; ";
    std::string fault = judge_time("the dial", scene_.elapsed(), cell.ends, 0s);
    const Ended ended = dial.ended();
    if (ended.calls != 1) fault += "it completed " + std::to_string(ended.calls) + " times; ";
    if (ended.error != cell.error) {
        fault += "it ended with " + ended.error.message() + " in place of " + cell.error.message() +
                 "; ";
    }
    if (ended.count != 0) fault += "it counts " + std::to_string(ended.count) + " bytes; ";
    if (ended.error) {  // a tls stream below may still wait for the proxy's closing alert
        static_cast<void>(scene_.run(10s, [this] { return scene_.is_idle(); }));
        fault += judge_time("the connection", scene_.elapsed(), cell.ends, kCloseTls);
    } else {
        connection_->close();
        static_cast<void>(scene_.run(10s, [this] { return scene_.is_idle(); }));
    }
    scene_.settle();
    const SimPeer& socket = victim_->socket();
    if (socket.state() != SimPeer::State::closed) {
        if (!victim_->saw_end()) fault += "the proxy receives no end; ";
        if (socket.unsent() > 0) fault += "the proxy's send is blocked; ";
    }
    return fault + scene_.excess(socket.received().size());
}

// Another dial on the same engine, and its end.
std::string DialScene::dial_once() {
    easy::Connection other(scene_.engine);
    easy::Options options;
    options.proxy = "";
    Operation dial(scene_.engine);
    other.connect("tcp://127.0.0.1:" + std::to_string(target_.port()), options, dial.aio);
    const bool done = scene_.run(1s, [&] { return dial.done(); });
    other.close();
    return done && dial.ended() == success(0) ? "" : "another dial is pending; ";
}

std::string DialScene::play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    static_cast<void>(dial_once());  // the first time
    scene_.settle();
    good_.reset();
    scene_.remember_idle();
    held_ = begins(phase, "TLS") || begins(phase, "tunnel");
    if (phase.reads != std::string::npos) {
        proxy_.set_window(1);
        reads_ = phase.reads;
    }
    Operation dial(scene_.engine);
    const bool secured = begins(phase, "tunnel");
    connection_->connect(secured ? "tls://localhost:7" : "tcp://origin.test:7", options_for(phase),
                         dial.aio);
    if (!lead(phase, behaviour)) return "the first exchange is not read";
    scene_.mark();
    misbehave(scene_, *victim_, phase, behaviour);
    std::string fault = dial_once() + judge(cell, dial);
    scene_.stop_repeating();
    if (victim_) victim_->socket().reset();  // with its unread bytes
    victim_.reset();
    good_.reset();
    fault += scene_.leftovers();
    connection_.reset();
    scene_.settle();
    if (scene_.kernel.open_descriptors() > 0) fault += "sockets are left; ";
    if (scene_.engine.statistics().in_flight > 0) fault += "Aios are left; ";
    return fault;
}

}  // namespace uaio::matrix
