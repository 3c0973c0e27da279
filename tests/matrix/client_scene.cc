#include "tests/matrix/client_scene.h"

#include "tests/support/raw_peer.h"

#include <utility>

#include <doctest/doctest.h>

namespace uaio::matrix {
namespace {

constexpr unsigned kBacklog = 129;  // of a SimListener

constexpr std::string_view kKept = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr std::string_view kLast =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

const std::string& upload() {
    static const std::string content = pattern(1 << 20);
    return content;
}

// Answers received requests, and later ones.
void answer(ScriptedPeer& peer, std::string_view response) {
    const auto serve = [&peer, response] {
        if (peer.received().ends_with("\r\n\r\n")) peer.send(response);
    };
    peer.on_receive(serve);
    serve();
}

}  // namespace

struct ClientScene::Transaction {
    Transaction(Engine& engine, std::string_view method) : aio(engine, [this](Aio&) { ++calls; }) {
        REQUIRE(!request.set_method(method));
        REQUIRE(!request.set_target("/"));
        REQUIRE(!request.headers().set("Host", "localhost"));
    }
    bool done() const { return calls > 0; }

    http::Request request;
    http::Response response;
    unsigned calls = 0;
    Aio aio;
};

ClientScene::ClientScene(const Transport& transport)
    : scene_(transport),
      listener_(scene_.kernel.listen_peer()),
      below_(Endpoint::loopback(listener_.port())),
      connector_(transport.connector(below_)) {
    client_.emplace(*connector_);
    listener_.on_accept([this](SimPeer& socket) { accept(socket); });
    REQUIRE(upload().size() > kWindow);
}

ClientScene::~ClientScene() {
    scene_.stop_repeating();
    if (victim_) victim_->socket().reset();  // with its unread bytes
    victim_.reset();
    good_.clear();
}

void ClientScene::accept(SimPeer& socket) {
    const bool victim = std::exchange(victim_next_, false);
    auto peer = scene_.adopt(socket, Transport::Side::server, victim && held_);
    if (victim && reads_ != std::string::npos) {
        socket.read_nothing();
        socket.read_more(reads_);
    }
    ScriptedPeer& made = *peer;
    if (victim) {
        victim_ = std::move(peer);
        if (victim_answers_) answer(made, kKept);
        return;
    }
    answer(made, kLast);
    good_.push_back(std::move(peer));
}

// A transaction on the connection that misbehaves later.
bool ClientScene::carry_first() {
    victim_answers_ = true;
    first_ = std::make_unique<Transaction>(scene_.engine, "GET");
    client_->transact(first_->request, first_->response, first_->aio);
    if (!scene_.run(1s, [this] { return first_->done(); })) return false;
    victim_->on_receive({});
    return true;
}

// Makes later connects hang, or be refused.
bool ClientScene::block_connects(Behaviour behaviour) {
    if (behaviour == Behaviour::reset) {
        listener_.close();
        return true;
    }
    listener_.set_accepting(false);
    for (unsigned i = 0; i < kBacklog; ++i)
        scene_.kernel.connect_peer(listener_.port());
    scene_.settle();
    scene_.remember_idle();  // including those connections
    return true;
}

bool ClientScene::lead(const Phase& phase, Behaviour behaviour) {
    const std::string_view name = phase.name;
    const bool connecting = name == "connect";
    held_ = name.starts_with("TLS");
    victim_next_ = !connecting;
    const bool reading = phase.reads != std::string::npos;
    if (reading && held_) {
        listener_.set_window(1);
        reads_ = phase.reads;
    }
    if (connecting && !block_connects(behaviour)) return false;
    if (phase.kept) {
        if (!carry_first()) return false;
        if (phase.answered) {
            asked_ = std::move(first_);
            return true;
        }
        victim_->socket().set_window(1);
        victim_->socket().read_more(phase.reads);
    }
    asked_ = std::make_unique<Transaction>(scene_.engine, "POST");
    if (phase.uploads) REQUIRE(!asked_->request.set_content(upload()));
    asked_->aio.set_timeout(kDeadline);
    const std::size_t before = phase.kept ? victim_->socket().received().size() : 0;
    client_->transact(asked_->request, asked_->response, asked_->aio);
    if (connecting) return true;
    if (!scene_.run(1s, [&] { return victim_ != nullptr; })) return false;
    if (reading) {
        return scene_.run(
            1s, [&] { return victim_->socket().received().size() == before + phase.reads; });
    }
    const std::string& lead = lead_of(phase, behaviour);
    if (held_) {
        if (!scene_.run(1s, [&] { return !victim_->socket().received().empty(); })) return false;
        const std::string flight = victim_->flight();
        if (lead == "record") victim_->socket().send({"\x16\x03\x03\x40\x00", 5});
        if (lead == "part") victim_->socket().send(flight.substr(0, 20));
        return true;
    }
    if (!scene_.run(1s, [&] { return victim_->received().ends_with("\r\n\r\n"); })) return false;
    victim_->send(lead);
    scene_.settle();
    return true;
}

std::string ClientScene::judge(const Phase& phase, const Cell& cell) {
    const nanoseconds ends = phase.answered ? 0s : cell.ends;
    const bool done = scene_.run(ends + 10s, [this] { return asked_->done(); });
    if (!done)
        return "the transaction is pending " + std::to_string((ends + 10s) / 1s) + " s later";
    std::string fault = judge_time("the transaction", scene_.elapsed(), ends, 0s);
    if (asked_->aio.result() != cell.error) {
        fault += "it ended with " + asked_->aio.result().message() + " in place of " +
                 cell.error.message() + "; ";
    }
    const std::size_t count = asked_->aio.count();
    if (count != cell.count || count != asked_->response.content().size()) {
        fault += "its count is " + std::to_string(count) + " in place of " +
                 std::to_string(cell.count) + ", its content " +
                 std::to_string(asked_->response.content().size()) + "; ";
    }
    static_cast<void>(scene_.run(cell.ends + 10s, [this] { return scene_.is_idle(); }));
    scene_.settle();
    fault += judge_time("the connection", scene_.elapsed(), cell.ends, kCloseTls);
    if (asked_->calls != 1) fault += "it completed " + std::to_string(asked_->calls) + " times; ";
    if (!victim_ || victim_->socket().state() == SimPeer::State::closed) return fault;
    if (!victim_->saw_end()) fault += "the server receives no end; ";
    if (victim_->socket().unsent() > 0) fault += "the server's send is blocked; ";
    return fault + scene_.excess(victim_->socket().received().size());
}

std::string ClientScene::judge_good(const char* which, Transaction& good) {
    static_cast<void>(scene_.run(0s, [&] { return good.done(); }));
    if (good.done() && !good.aio.result() && good.response.content() == "ok") return {};
    return std::string(which) + " transaction " +
           (good.done() ? good.aio.result().message() : "waits") + "; ";
}

std::string ClientScene::play(const Phase& phase, Behaviour behaviour, const Cell& cell) {
    Transaction before(scene_.engine, "GET");
    client_->transact(before.request, before.response, before.aio);
    static_cast<void>(scene_.run(1s, [&] { return before.done(); }));
    static_cast<void>(scene_.run(2s, [&] { return scene_.kernel.open_descriptors() == 0; }));
    scene_.settle();
    scene_.remember_idle();
    if (!lead(phase, behaviour)) return "the first exchange is not read";
    scene_.mark();
    const bool connecting = std::string_view(phase.name) == "connect";
    Transaction beside(scene_.engine, "GET");
    if (!connecting) {
        if (phase.answered) {  // while that connection is kept, another is made
            static_cast<void>(scene_.run(0s, [] { return false; }));
        } else {
            client_->transact(beside.request, beside.response, beside.aio);
            scene_.settle();
        }
        misbehave(scene_, *victim_, phase, behaviour);
    }
    std::string fault = judge(phase, cell);
    if (!connecting && !phase.answered) fault += judge_good("another", beside);
    scene_.stop_repeating();
    if (victim_) victim_->socket().reset();  // with its unread bytes
    victim_.reset();
    first_.reset();
    asked_.reset();
    fault += scene_.leftovers();
    if (connecting) return fault + finish();
    Transaction after(scene_.engine, "GET");
    client_->transact(after.request, after.response, after.aio);
    static_cast<void>(scene_.run(1s, [&] { return after.done(); }));
    fault += judge_good("a later", after);
    return fault + finish();
}

std::string ClientScene::finish() {
    client_.reset();
    static_cast<void>(scene_.run(10s, [this] { return scene_.kernel.open_descriptors() == 0; }));
    std::string fault;
    if (scene_.kernel.open_descriptors() > 0) fault += "sockets are left in the client; ";
    if (scene_.kernel.pending_operations() > 0) fault += "operations are left in the client; ";
    return fault;
}

}  // namespace uaio::matrix
