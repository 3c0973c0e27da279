// Which connections an http::Client reuses: none that has received a byte without a request, in any
// order of events, and none that is known to be dead.
#include <uaio/http.h>
#include <uaio/http_error.h>
#include <uaio/provider.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/client_lab.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_client_reuse_test {

using namespace std::chrono_literals;

constexpr std::string_view kEnd = ClientLab::kEnd;
constexpr std::string_view kFive = ClientLab::kFive;
constexpr std::string_view kPoison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

struct Leftover {
    const char* method;
    std::string response;
    std::size_t content;
};

// Responses with extra bytes after them.
std::vector<Leftover> leftovers() {
    const std::string poison(kPoison);
    return {
        {"GET", std::string(kFive) + poison, 5},
        {"GET", std::string(kFive) + "\r\n", 5},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nX", 0},
        {"GET",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: v\r\n\r\n" +
             poison,
         1},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 76\r\n\r\n" + poison, 0},
        {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n" + poison, 0},
        {"GET", "HTTP/1.1 103 Early Hints\r\n\r\n" + std::string(kFive) + poison, 5},
        {"GET", std::string(kFive) + "HTTP/1.1 100 Continue\r\n\r\n", 5},
        {"HEAD", std::string(kFive), 0},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 76\r\n\r\n" + poison, 0},
    };
}

TEST_CASE_TEMPLATE("a request takes the connection that became idle last", Kernel, OnLinux,
                   OnPoll) {
    for (const bool in_order : {true, false}) {
        CAPTURE(in_order);
        ClientLab lab(Kernel::kKind);
        Asked first(lab.engine());
        lab.ask(first);
        RawPeer of_first = lab.accept();
        Asked second(lab.engine());
        lab.ask(second);
        RawPeer of_second = lab.accept();
        lab.expect(of_first, kEnd);
        lab.expect(of_second, kEnd);
        if (in_order) CHECK(lab.answer(first, of_first, kFive) == success(5));
        CHECK(lab.answer(second, of_second, kFive) == success(5));
        if (!in_order) CHECK(lab.answer(first, of_first, kFive) == success(5));
        Asked third(lab.engine(), "http://h/third");
        lab.ask(third);
        RawPeer& last = in_order ? of_second : of_first;
        REQUIRE(lab.run_until([&] {
            last.read_some();
            return last.received().find("GET /third") != std::string::npos;
        }));
        CHECK(lab.answer(third, last, kFive) == success(5));
    }
}

TEST_CASE_TEMPLATE("bytes behind a response do not answer a request made in its callback", Kernel,
                   OnLinux, OnPoll) {
    for (const Leftover& one : leftovers()) {
        CAPTURE(one.response);
        ClientLab lab(Kernel::kKind);
        Asked second(lab.engine(), "http://h/second");
        Asked first(lab.engine());
        REQUIRE(!first.request.set_method(one.method));
        bool first_done = false;
        Aio aio(lab.engine(), [&](Aio&) {
            first_done = true;
            lab.ask(second);
        });
        lab.client().transact(first.request, first.response, aio);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        const std::size_t sent = peer.received().size();
        peer.send(one.response);
        REQUIRE(lab.run_until([&] { return first_done; }));
        CHECK(!aio.result());
        CHECK(aio.count() == one.content);
        RawPeer other = lab.accept();
        lab.expect(other, kEnd);
        CHECK(lab.answer(second, other, kFive) == success(5));
        CHECK(second.response.content() == "hello");
        peer.read_some();
        CHECK(peer.received().size() == sent);
        CHECK(lab.client().statistics().discarded == 1);
        CHECK(lab.client().statistics().reuses == 0);
    }
}

TEST_CASE_TEMPLATE("bytes behind a response do not answer a queued request", Kernel, OnLinux,
                   OnPoll) {
    for (const Leftover& one : leftovers()) {
        CAPTURE(one.response);
        ClientLab lab(Kernel::kKind, {.connections = 1});
        Asked first(lab.engine());
        Asked second(lab.engine(), "http://h/second");
        REQUIRE(!first.request.set_method(one.method));
        lab.ask(first);
        lab.ask(second);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        CHECK(lab.answer(first, peer, one.response) == success(one.content));
        RawPeer other = lab.accept();
        lab.expect(other, kEnd);
        CHECK(lab.answer(second, other, kFive) == success(5));
        CHECK(second.response.content() == "hello");
        CHECK(lab.client().statistics().discarded == 1);
    }
}

TEST_CASE_TEMPLATE("a client detects bytes and ends on an idle connection before it reuses it",
                   Kernel, OnLinux, OnPoll) {
    for (const std::string_view bytes : {kPoison, std::string_view("X"), std::string_view()}) {
        CAPTURE(bytes);
        ClientLab lab(Kernel::kKind);
        Asked first(lab.engine());
        lab.ask(first);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        CHECK(lab.answer(first, peer, kFive) == success(5));
        lab.run_until([&] { return lab.engine().statistics().in_flight > 0; });
        const std::size_t sent = peer.received().size();
        if (bytes.empty()) {
            peer.shutdown_write();
        } else {
            peer.send(bytes);
        }
        Asked second(lab.engine());
        REQUIRE(!second.request.set_method("POST"));  // not idempotent: never resent
        lab.ask(second);                              // before the engine can detect it
        RawPeer other = lab.accept();
        lab.expect(other, kEnd);
        CHECK(lab.answer(second, other, kFive) == success(5));
        CHECK(second.response.content() == "hello");
        peer.read_some();
        CHECK(peer.received().size() == sent);
        CHECK(lab.client().statistics().discarded == 1);
        CHECK(lab.client().statistics().retries == 0);
    }
}

// The completion of the kept connection's read is in the ring, after that of the callback which
// submits the request.
TEST_CASE_TEMPLATE("bytes that the kernel has already delivered do not answer a later request",
                   Kernel, OnLinux, OnPoll) {
    for (const char* const method : {"GET", "POST"}) {
        ClientLab lab(Kernel::kKind);
        RawListener elsewhere;
        StreamPtr trigger;
        Aio aio(lab.engine());
        tcp::connect(elsewhere.endpoint(), {}, aio, trigger);
        REQUIRE(!aio.wait());
        RawPeer far = RawPeer::accept_from(elsewhere.fd());
        Asked first(lab.engine());
        lab.ask(first);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        CHECK(lab.answer(first, peer, kFive) == success(5));
        Asked second(lab.engine());
        REQUIRE(!second.request.set_method(method));
        bool asked = false;
        char byte = 0;
        Aio reading(lab.engine(), [&](Aio&) {
            asked = true;
            lab.ask(second);
        });
        reading.set_iov(&byte, 1);
        trigger->read(reading);
        lab.engine().run_once(0ms);
        far.send("x");
        peer.send(kPoison);
        REQUIRE(lab.run_until([&] { return asked; }));
        RawPeer other = lab.accept();
        lab.expect(other, kEnd);
        CHECK(lab.answer(second, other, kFive) == success(5));
        CHECK(second.response.content() == "hello");
        CHECK(lab.client().statistics().discarded == 1);
    }
}

// Returns an existing connection first, then makes others.
class Ready final : public Connector {
public:
    Ready(const Endpoint& endpoint, StreamPtr ready) : below_(endpoint), ready_(std::move(ready)) {}
    void connect(Aio& aio, StreamPtr& out) override {
        if (!ready_) return below_.connect(aio, out);
        out = std::move(ready_);
        Provider::submit(
            aio.engine(), aio, [](Aio& done) noexcept { Provider::finish(done, {}); }, nullptr);
    }

private:
    tcp::Connector below_;
    StreamPtr ready_;
};

TEST_CASE_TEMPLATE("a connection that answers before a request carries no second request", Kernel,
                   OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    RawListener listener;
    StreamPtr stream;
    Aio aio(engine);
    tcp::connect(listener.endpoint(), {}, aio, stream);
    REQUIRE(!aio.wait());
    RawPeer peer = RawPeer::accept_from(listener.fd());
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    Ready connector(listener.endpoint(), std::move(stream));
    http::Client client(connector);
    Asked first(engine, "http://h/first");
    client.transact(first.request, first.response, first.end.aio);
    REQUIRE(run_until(engine, [&] { return first.end.done(); }));
    // The response to the first request is still to come, and must not be that of the second.
    Asked second(engine, "http://h/second");
    client.transact(second.request, second.response, second.end.aio);
    REQUIRE(run_until(engine, [&] {
        pollfd entry{listener.fd(), POLLIN, 0};
        return ::poll(&entry, 1, 0) == 1;
    }));
    RawPeer other = RawPeer::accept_from(listener.fd());
    other.send(kFive);
    REQUIRE(run_until(engine, [&] { return second.end.done(); }));
    CHECK(second.end.ended() == success(5));
    CHECK(second.response.content() == "hello");
    CHECK(client.statistics().connections == 2);
    CHECK(client.statistics().reuses == 0);
}

TEST_CASE_TEMPLATE("a request on a dead idle connection is sent again on a new one", Kernel,
                   OnLinux, OnPoll) {
    for (const std::size_t limit : {std::size_t{16}, std::size_t{3}}) {
        CAPTURE(limit);
        ClientLab lab(Kernel::kKind, {.connections = limit});
        std::vector<std::unique_ptr<Asked>> asked;
        std::vector<RawPeer> peers;
        peers.reserve(3);
        for (int i = 0; i < 3; ++i) {
            asked.push_back(std::make_unique<Asked>(lab.engine()));
            lab.ask(*asked.back());
            peers.push_back(lab.accept());
            lab.expect(peers.back(), kEnd);
        }
        std::vector<std::size_t> sent;
        for (int i = 0; i < 3; ++i) {
            CHECK(lab.answer(*asked[i], peers[i], kFive) == success(5));
            sent.push_back(peers[i].received().size());
        }
        // One of them receives the request, and closes; the others would do the same.
        Asked again(lab.engine());
        lab.ask(again);
        RawPeer* taker = nullptr;
        REQUIRE(lab.run_until([&] {
            for (int i = 0; i < 3; ++i) {
                peers[i].read_some();
                if (peers[i].received().size() > sent[i]) taker = &peers[i];
            }
            return taker != nullptr;
        }));
        taker->close();
        RawPeer fresh = lab.accept();
        lab.expect(fresh, kEnd);
        CHECK(lab.answer(again, fresh, kFive) == success(5));
        CHECK(lab.client().statistics().retries == 1);
        CHECK(lab.client().statistics().connections == 4);
    }
}

TEST_CASE_TEMPLATE("a request that is sent again precedes the queued ones", Kernel, OnLinux,
                   OnPoll) {
    ClientLab lab(Kernel::kKind, {.connections = 1});
    Asked first(lab.engine());
    lab.ask(first);
    RawPeer peer = lab.accept();
    lab.expect(peer, kEnd);
    CHECK(lab.answer(first, peer, kFive) == success(5));
    Asked again(lab.engine(), "http://h/again");
    Asked waits(lab.engine(), "http://h/waits");
    lab.ask(again);
    lab.ask(waits);
    REQUIRE(lab.run_until([&] {
        peer.read_some();
        return peer.received().find("GET /again ") != std::string::npos;
    }));
    peer.close();
    // Behind the other it would never end: it uses no kept connection, and there is only one.
    RawPeer fresh = lab.accept();
    lab.expect(fresh, kEnd);
    CHECK(fresh.received().starts_with("GET /again "));
    CHECK(lab.answer(again, fresh, kFive) == success(5));
    REQUIRE(lab.run_until([&] {
        fresh.read_some();
        return fresh.received().find("GET /waits ") != std::string::npos;
    }));
    CHECK(lab.answer(waits, fresh, kFive) == success(5));
    CHECK(lab.client().statistics().connections == 2);
}

TEST_CASE_TEMPLATE("idle connections that have died together fail no request", Kernel, OnLinux,
                   OnPoll) {
    ClientLab lab(Kernel::kKind);
    std::vector<std::unique_ptr<Asked>> asked;
    std::vector<RawPeer> peers;
    peers.reserve(5);
    for (int i = 0; i < 5; ++i) {
        asked.push_back(std::make_unique<Asked>(lab.engine()));
        lab.ask(*asked.back());
        peers.push_back(lab.accept());
        lab.expect(peers.back(), kEnd);
    }
    for (int i = 0; i < 5; ++i)
        CHECK(lab.answer(*asked[i], peers[i], kFive) == success(5));
    for (RawPeer& peer : peers)
        peer.reset();
    Asked again(lab.engine());
    REQUIRE(!again.request.set_method("POST"));
    lab.ask(again);
    RawPeer fresh = lab.accept();
    lab.expect(fresh, kEnd);
    CHECK(lab.answer(again, fresh, kFive) == success(5));
    CHECK(lab.client().statistics().discarded == 5);
    CHECK(lab.client().statistics().connections == 6);
}

TEST_CASE_TEMPLATE("a client accepts at most 16 interim responses before the final one", Kernel,
                   OnLinux, OnPoll) {
    for (const unsigned count : {16u, 17u, 10000u}) {
        ClientLab lab(Kernel::kKind);
        Asked asked(lab.engine());
        lab.ask(asked);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        std::string response;
        for (unsigned i = 0; i < std::min(count, 1000u); ++i)
            response +=
                i % 2 ? "HTTP/1.1 100 Continue\r\n\r\n" : "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n";
        response += kFive;
        const Ended ended = lab.answer(asked, peer, response);
        if (count == 16) {
            CHECK(ended == success(5));
            // The count restarts at each response.
            Asked next(lab.engine());
            lab.ask(next);
            lab.expect(peer, kEnd);
            CHECK(lab.answer(next, peer, response) == success(5));
        } else {
            CHECK(ended == failure(HttpErrc::too_many_interim_responses));
        }
    }
}

TEST_CASE_TEMPLATE("a 101 that no request asked for is an error", Kernel, OnLinux, OnPoll) {
    constexpr std::string_view kSwitch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    ClientLab lab(Kernel::kKind);
    Asked plain(lab.engine());
    lab.ask(plain);
    RawPeer one = lab.accept();
    lab.expect(one, kEnd);
    CHECK(lab.answer(plain, one, kSwitch) == failure(HttpErrc::unexpected_switch));
    Asked upgrade(lab.engine());
    REQUIRE(!upgrade.request.headers().set("Upgrade", "x"));
    REQUIRE(!upgrade.request.headers().set("Connection", "upgrade"));
    lab.ask(upgrade);
    RawPeer two = lab.accept();
    lab.expect(two, kEnd);
    CHECK(lab.answer(upgrade, two, kSwitch) == success(0));
    CHECK(upgrade.response.status() == 101);
    // The connection no longer carries HTTP.
    Asked next(lab.engine());
    lab.ask(next);
    RawPeer three = lab.accept();
    lab.expect(three, kEnd);
    CHECK(lab.answer(next, three, kFive) == success(5));
}

// ---- on a simulated kernel, in many orders

// A scripted server: it answers each request with its target, and sometimes with a second answer
// after that.
class Poisoner {
public:
    Poisoner(SimKernel& kernel, std::uint64_t seed) : seed_(seed) {
        SimListener& listener = kernel.listen_peer(80);
        listener.on_accept([this](SimPeer& peer) {
            auto used = std::make_shared<std::size_t>(0);
            auto poisoned = std::make_shared<bool>(false);
            const auto answer = [this, used, poisoned](SimPeer& from) {
                answer_all(from, *used, *poisoned);
            };
            peer.on_receive(answer);
            answer(peer);  // the earlier bytes
        });
    }

    unsigned after_poison = 0;  // requests on an already poisoned connection

private:
    void answer_all(SimPeer& peer, std::size_t& used, bool& poisoned) {
        for (;;) {
            const std::string& all = peer.received();
            const std::size_t end = all.find(kEnd, used);
            if (end == all.npos) return;
            const std::size_t begin = all.find('/', used);
            const std::string target = all.substr(begin, all.find(' ', begin) - begin);
            used = end + kEnd.size();
            if (poisoned) ++after_poison;
            std::string response =
                "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(target.size()) + "\r\n\r\n" +
                target;
            if (next() % 3 == 0) {
                poisoned = true;
                response += kPoison;
            }
            peer.send(response);
        }
    }
    std::uint64_t next() {
        return (seed_ = seed_ * 6364136223846793005u + 1442695040888963407u) >> 33;
    }

    std::uint64_t seed_;
};

TEST_CASE(
    "no unsolicited response answers a request, in any order of a simulated kernel's events") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        SimKernel kernel(seed, {.short_write = seed % 2 ? 300u : 0u,
                                .short_read = seed % 3 ? 500u : 0u,
                                .reorder = seed % 4 ? 500u : 0u});
        Engine engine(kernel);
        Poisoner server(kernel, seed);
        tcp::Connector connector(Endpoint::loopback(80));
        http::Client client(connector, {.connections = 1 + seed % 3});
        constexpr int kRequests = 12;
        std::vector<std::unique_ptr<Asked>> asked;
        std::vector<std::unique_ptr<Aio>> aios;
        int done = 0;
        int next = 0;
        const auto ask = [&] {
            if (next == kRequests) return;
            Asked& one = *asked[next];
            client.transact(one.request, one.response, *aios[next++]);
        };
        for (int i = 0; i < kRequests; ++i) {
            asked.push_back(std::make_unique<Asked>(engine, "http://h/" + std::to_string(i)));
            aios.push_back(std::make_unique<Aio>(engine, [&](Aio&) {
                ++done;
                ask();
            }));
        }
        for (std::uint64_t i = 0; i <= seed % 4; ++i)
            ask();
        for (int turn = 0; done < kRequests && turn < 100000; ++turn)
            engine.run_once(1ms);
        REQUIRE(done == kRequests);
        for (int i = 0; i < kRequests; ++i) {
            CHECK(!aios[i]->result());
            CHECK(asked[i]->response.content() == asked[i]->request.target());
        }
        CHECK(server.after_poison == 0);
    }
}

}  // namespace uaio::http_client_reuse_test
