#include "tests/matrix/server_scene.h"

#include <uaio/http_files.h>
#include <uaio/tcp.h>

#include "tests/support/raw_peer.h"

#include <fstream>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

using http::Exchange;

constexpr std::string_view kQuestion = "GET /other HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr nanoseconds kPause = 5s;
// A peer that reads more leaves a whole window unread: byte by byte that would take too long.
constexpr std::size_t kByteByByte = 8 << 10;
constexpr std::size_t kPipelined = 20;  // more than ServerOptions::pipelined

const std::string& big_content() {
    static const std::string content = pattern(kBig);
    return content;
}

}  // namespace

// Reads streamed content, all of it within five seconds, and answers 200.
class ServerScene::Streamer {
public:
    explicit Streamer(Exchange& exchange)
        : exchange_(exchange), reads_(exchange.engine(), [this](Aio&) { on_read(); }) {
        reads_.set_iov(block_, sizeof block_);
        read();
    }

private:
    void read() {
        reads_.set_deadline(deadline_);
        exchange_.reader().read(reads_);
    }
    void on_read() {
        if (!reads_.result()) return read();
        reads_.result() == Errc::end_of_stream ? exchange_.respond("read") : exchange_.abort();
        delete this;
    }

    Exchange& exchange_;
    const Clock::time_point deadline_ = exchange_.engine().now() + 5s;
    char block_[1024];
    Aio reads_;
};

int last_status(const std::string& received) {
    const std::size_t at = received.rfind("HTTP/1.1 ");
    return at == std::string::npos || received.size() < at + 12
               ? 0
               : std::stoi(received.substr(at + 9, 3));
}

ServerScene::ServerScene(const Transport& transport, http::ServerOptions options)
    : scene_(transport) {
    options.access_log = [this](const http::AccessRecord& record) {
        if (record.target != "/other") written_ += record.bytes;
    };
    server_.emplace(scene_.engine, std::move(options));
    serve();
}

ServerScene::~ServerScene() {
    scene_.stop_repeating();
    victim_.reset();
    other_.reset();
}

void ServerScene::serve() {
    REQUIRE(big_content().size() == kBig);  // made before the memory baseline
    std::ofstream(folder_.at("file"), std::ios::binary) << pattern(kFile);
    const auto small = [](Exchange& exchange) { exchange.respond(std::string(kSmall, 's')); };
    server_->handle("GET", "/other", small);
    server_->handle("GET", "/small", small);
    server_->handle("GET", "/big", [](Exchange& exchange) {
        static_cast<void>(exchange.response().set_content(big_content()));
        exchange.respond();
    });
    server_->handle("GET", "/file", http::file(folder_.at("file")));
    server_->handle("GET", "/late",
                    [this](Exchange& exchange) { unanswered_.push_back(&exchange); });
    server_->handle("POST", "/collect", small);
    server_
        ->handle("POST", "/stream",
                 [this](Exchange& exchange) {
                     counted_ = false;
                     new Streamer(exchange);
                 })
        .stream_content();
    server_->handle("POST", "/early", small).stream_content();
    server_->listen(scene_.transport.acceptor([this](Engine& engine) {
        auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
        port_ = listener->local_endpoint().port();
        return listener;
    }));
}

void ServerScene::begin_other() {
    other_ = scene_.adopt(scene_.kernel.connect_peer(port_), Transport::Side::client);
    REQUIRE(scene_.run(1s, [this] { return other_->is_ready(); }));
    // The server pools as many exchanges as a flood of requests needs.
    for (asked_ = 0; asked_ < kPipelined; ++asked_)
        other_->send(kQuestion);
    REQUIRE(scene_.run(1s, [this] { return judge_other().empty(); }));
    scene_.settle();
    scene_.remember_idle();
}

std::string ServerScene::judge_other() const {
    std::size_t answers = 0;
    const std::string& received = other_->received();
    for (std::size_t at = received.find("HTTP/1.1 200"); at != std::string::npos; ++answers)
        at = received.find("HTTP/1.1 200", at + 1);
    if (answers == asked_ && late_ == 0) return {};
    return "another client got " + std::to_string(answers) + " answers to " +
           std::to_string(asked_) + " requests, " + std::to_string(late_) + " of them late; ";
}

bool ServerScene::send_lead(const Phase& phase, Behaviour behaviour) {
    const bool handshake = std::string_view(phase.name).starts_with("TLS");
    victim_ = scene_.adopt(scene_.kernel.connect_peer(port_), Transport::Side::client, handshake);
    SimPeer& socket = victim_->socket();
    if (!scene_.run(1s, [&] { return socket.state() == SimPeer::State::connected; })) return false;
    scene_.settle();
    if (handshake) {
        const std::string hello = victim_->flight();
        if (lead_of(phase, behaviour) == "half") socket.send(hello.substr(0, hello.size() / 2));
        if (lead_of(phase, behaviour) != "hello") return true;
        socket.set_window(1);
        socket.read_more(phase.reads);
        socket.send(hello);
        return scene_.run(1s, [&] { return socket.received().size() == phase.reads; });
    }
    if (!scene_.run(1s, [this] { return victim_->is_ready(); })) return false;
    scene_.settle();
    if (phase.reads != std::string::npos) {
        if (phase.reads <= kByteByByte) socket.set_window(1);
        socket.read_more(phase.reads);
    }
    const std::string& lead = lead_of(phase, behaviour);
    counted_ = lead.find("/file") == std::string::npos && lead.find("Expect") == std::string::npos;
    const std::size_t before = socket.received().size();
    victim_->send(lead);
    if (phase.reads != std::string::npos &&
        !scene_.run(1s, [&] { return socket.received().size() == before + phase.reads; })) {
        return false;
    }
    if (phase.answered &&
        !scene_.run(1s, [this] { return last_status(victim_->received()) != 0; })) {
        return false;
    }
    scene_.settle();
    return true;
}

std::string ServerScene::judge_counts() const {
    const SimPeer& socket = victim_->socket();
    if (scene_.transport.tls || !counted_ || socket.state() == SimPeer::State::closed) return {};
    const std::size_t seen = socket.received().size() + socket.unread();
    if (socket.saw_reset() || seen == written_) return {};
    return "the access log has " + std::to_string(written_) + " bytes, and " +
           std::to_string(seen) + " left; ";
}

std::string ServerScene::judge(const Cell& cell, nanoseconds taken) {
    const nanoseconds slack = kLinger + (scene_.transport.tls ? kCloseTls : 0s);
    std::string fault = judge_time("the connection", taken, cell.ends, slack);
    const SimPeer& socket = victim_->socket();
    if (socket.state() != SimPeer::State::closed) {
        if (!victim_->saw_end()) fault += "the peer receives no end; ";
        if (socket.unsent() > 0) fault += "the peer's send is blocked; ";
    }
    const int status = last_status(victim_->received());
    if (cell.status != kAny && status != cell.status) {
        fault += "status " + std::to_string(status) + " in place of " +
                 std::to_string(cell.status) + "; ";
    }
    fault += judge_counts();
    return fault + scene_.excess(socket.received().size());
}

std::string ServerScene::play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    begin_other();
    if (!send_lead(phase, behaviour)) return "the first request is not answered";
    scene_.mark();
    const auto answers = [this] {
        late_ += other_->received().ends_with("sss") ? 0 : 1;
        ++asked_;
        other_->send(kQuestion);
    };
    scene_.repeat(kPause, answers);
    scene_.kernel.schedule(kPause, [this] {
        for (Exchange* const exchange : std::exchange(unanswered_, {}))
            exchange->respond("late");
    });
    misbehave(scene_, *victim_, phase, behaviour);
    const bool ended = scene_.run(cell.ends + 10s, [this] { return scene_.is_idle(); });
    const nanoseconds taken = scene_.elapsed();
    scene_.settle();
    std::string fault;
    if (!ended) fault = "pending " + std::to_string(taken.count() / 1000000000) + " s later: ";
    fault += judge(cell, taken) + judge_other();
    scene_.stop_repeating();
    victim_->socket().reset();  // with its unread bytes
    victim_.reset();
    fault += scene_.leftovers();
    return fault + finish();
}

std::string ServerScene::play_drained(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    begin_other();
    if (!send_lead(phase, behaviour)) return "the first request is not answered";
    scene_.mark();
    unsigned drained = 0;
    Aio drain(scene_.engine, [&](Aio&) { ++drained; });
    server_->drain(drain);
    scene_.kernel.schedule(kPause, [this] {
        for (Exchange* const exchange : std::exchange(unanswered_, {}))
            exchange->respond("late");
    });
    misbehave(scene_, *victim_, phase, behaviour);
    const bool ended = scene_.run(cell.ends + 10s, [&] { return drained > 0; });
    std::string fault = ended ? "" : "the drain is pending: ";
    if (drain.result()) fault += "the drain failed: " + drain.result().message() + "; ";
    const nanoseconds taken = scene_.elapsed();
    // A tls stream may still wait for the closing alert.
    static_cast<void>(scene_.run(kCloseTls + kTurn, [this] { return victim_->saw_end(); }));
    scene_.settle();
    fault += judge(cell, taken);
    scene_.stop_repeating();
    victim_.reset();
    fault += finish();
    if (drained != 1) fault += "the drain completed " + std::to_string(drained) + " times; ";
    return fault;
}

std::size_t ServerScene::size_of(const std::string& target) {
    begin_other();
    const std::size_t before = other_->socket().received().size();
    other_->send(get(target));
    static_cast<void>(scene_.run(1s, [] { return false; }));
    return other_->socket().received().size() - before;
}

std::string ServerScene::finish() {
    server_.reset();
    other_.reset();
    static_cast<void>(scene_.run(10s, [this] { return scene_.kernel.open_descriptors() == 0; }));
    std::string fault;
    if (scene_.kernel.open_descriptors() > 0) fault += "sockets are left in the server; ";
    if (scene_.kernel.pending_operations() > 0) fault += "operations are left in the server; ";
    if (scene_.engine.statistics().in_flight > 0) fault += "Aios are left in the server; ";
    return fault;
}

}  // namespace uaio::matrix
