// The responses of an http::Server, over real sockets on loopback.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/server_fixture.h"

#include <optional>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_server_test {

using namespace std::chrono_literals;
using http::Exchange;

TEST_CASE_TEMPLATE("a handler responds, and the connection stays open", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/hello", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    RawPeer peer = fixture.connect();
    std::size_t before = 0;
    for (std::uint64_t i = 1; i <= 3; ++i) {
        peer.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(fixture.run_until([&] { return fixture.server().requests() == i; }));
        const std::string seen = fixture.receive(peer, "hi").substr(before);
        before += seen.size();
        CHECK(status_of(seen) == "HTTP/1.1 200 OK");
        CHECK(has_line(seen, "Content-Length: 2"));
        CHECK(has_line(seen, "Content-Type: text/plain; charset=utf-8"));
    }
    CHECK(fixture.server().connections() == 1);
}

TEST_CASE_TEMPLATE("64 pipelined requests are answered in order", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server()
        .handle("GET", "/", [](Exchange& exchange) { exchange.respond(exchange.path_suffix()); })
        .prefix();
    fixture.listen();
    RawPeer peer = fixture.connect();
    std::string all;
    for (int i = 100; i < 164; ++i) {
        all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    peer.send(all);
    const std::string seen = fixture.receive(peer, "/163");
    std::size_t at = 0;
    for (int i = 100; i < 164; ++i) {
        at = seen.find("\r\n\r\n/" + std::to_string(i), at);
        REQUIRE(at != std::string::npos);
    }
}

TEST_CASE_TEMPLATE("routes match by the longest path, method, host and prefix", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const auto respond_with = [](std::string what) {
        return [what](Exchange& exchange) {
            exchange.respond(what + std::string(exchange.path_suffix()));
        };
    };
    fixture.server().handle("GET", "/", respond_with("root")).prefix();
    fixture.server().handle("GET", "/a", respond_with("exact"));
    fixture.server().handle("GET", "/a", respond_with("tree")).prefix();
    fixture.server().handle("GET", "/a", respond_with("other")).host("Other.example");
    fixture.server().handle("POST", "/post", respond_with("post"));
    fixture.server().handle("", "/any", respond_with("any"));
    fixture.listen();
    CHECK(content_of(fixture.get("/a")) == "exact");
    CHECK(content_of(fixture.get("/a/b")) == "tree/b");
    CHECK(content_of(fixture.get("/ab")) == "root/ab");
    CHECK(content_of(fixture.get("/%61/./x/../b?q")) == "tree/b");
    CHECK(content_of(fixture.get("/post")) == "root/post");
    CHECK(content_of(fixture.ask(
              "GET /a HTTP/1.1\r\nHost: other.example:8\r\nConnection: close\r\n\r\n")) == "other");
    CHECK(content_of(fixture.ask("GET http://other.example/a HTTP/1.1\r\nHost: h\r\n"
                                 "Connection: close\r\n\r\n")) == "other");
    CHECK(content_of(fixture.ask("DELETE /any HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) ==
          "any");
    const std::string wrong =
        fixture.ask("DELETE /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(status_of(wrong) == "HTTP/1.1 405 Method Not Allowed");
    CHECK(wrong.find("\r\nAllow: GET, HEAD") != std::string::npos);
    CHECK(status_of(fixture.get("/..")) == "HTTP/1.1 400 Bad Request");
    CHECK(content_of(fixture.get("/a%2fb")) == "root/a%2Fb");
    CHECK_THROWS_AS(fixture.server().handle("GET", "/late", respond_with("")), std::logic_error);
    http::Server twice(fixture.engine());
    CHECK_THROWS_AS(twice.handle("GET", "x", respond_with("")), std::invalid_argument);
    twice.handle("GET", "/a", respond_with(""));
    twice.handle("GET", "/a", respond_with(""));
    CHECK_THROWS_AS(twice.listen(tcp::acceptor(Endpoint::loopback(0))), std::invalid_argument);
}

TEST_CASE_TEMPLATE("the route of GET answers HEAD without content", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hello"); });
    fixture.listen();
    const std::string seen = fixture.ask("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(status_of(seen) == "HTTP/1.1 200 OK");
    CHECK(has_line(seen, "Content-Length: 5"));
    CHECK(content_of(seen).empty());
}

TEST_CASE_TEMPLATE("a route of the request's method precedes other routes of its path", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const auto status = [](int code) {
        return [code](Exchange& exchange) { exchange.respond(code); };
    };
    fixture.server().handle("", "/any", status(210));
    fixture.server().handle("GET", "/any", status(211));
    fixture.server().handle("HEAD", "/any", status(212));
    fixture.server().handle("GET", "/two", status(213));
    fixture.server().handle("HEAD", "/two", status(214));
    fixture.listen();
    const auto ask = [&fixture](const std::string& line) {
        return status_of(fixture.ask(line + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    };
    CHECK(ask("POST /any").find(" 210 ") != std::string::npos);
    CHECK(ask("GET /any").find(" 211 ") != std::string::npos);
    CHECK(ask("HEAD /any").find(" 212 ") != std::string::npos);
    CHECK(ask("HEAD /two").find(" 214 ") != std::string::npos);
    const std::string refused =
        fixture.ask("PUT /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    CHECK(status_of(refused) == "HTTP/1.1 405 Method Not Allowed");
    CHECK(has_line(refused, "Allow: HEAD, GET"));
}

TEST_CASE_TEMPLATE("content is collected up to the limit", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.content_limit = 20000});
    fixture.server().handle(
        "POST", "/", [](Exchange& exchange) { exchange.respond(exchange.request().content()); });
    fixture.listen();
    const std::string content = pattern(20000);
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    CHECK(content_of(fixture.ask(head + "Content-Length: 20000\r\n\r\n" + content)) == content);
    CHECK(content_of(fixture.ask(head + "Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + content +
                                 "\r\n0\r\n\r\n")) == content);
    CHECK(content_of(fixture.ask(head + "Content-Length: 0\r\n\r\n")).empty());
    CHECK(status_of(fixture.ask(head + "Content-Length: 20001\r\n\r\n" + content + "x")) ==
          "HTTP/1.1 413 Content Too Large");
    CHECK(status_of(fixture.ask(head + "Transfer-Encoding: chunked\r\n\r\n4e21\r\n" + content +
                                "x\r\n0\r\n\r\n")) == "HTTP/1.1 413 Content Too Large");
    CHECK(status_of(fixture.ask(head + "Content-Length: 99999999999999\r\n\r\n")) ==
          "HTTP/1.1 413 Content Too Large");
}

TEST_CASE_TEMPLATE("a malformed request gets its status, and no request behind it is read", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    int calls = 0;
    fixture.server().handle("", "/", [&](Exchange& exchange) {
        ++calls;
        exchange.respond("x");
    });
    fixture.listen();
    const std::string good = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::pair<std::string, std::string> cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP Version Not Supported"},
        {"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
         "501 Not Implemented"},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", "414 URI Too Long"},
        {"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(9000, 'a') + "\r\n\r\n",
         "431 Request Header Fields Too Large"},
        {"GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n", "417 Expectation Failed"},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
         "400 Bad Request"},
    };
    for (const auto& [bytes, wanted] : cases) {
        const std::string seen = fixture.ask(bytes + good);
        CHECK(status_of(seen) == "HTTP/1.1 " + wanted);
        CHECK(has_line(seen, "Connection: close"));
        CHECK(seen.find("HTTP/1.1", 1) == std::string::npos);
    }
    CHECK(calls == 0);
}

TEST_CASE_TEMPLATE("the response to a malformed request behind a HEAD has content", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    const std::string seen = fixture.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nmalformed\r\n\r\n");
    CHECK(seen.find("HTTP/1.1 400 Bad Request") != seen.npos);
    CHECK(seen.ends_with("</html>\n"));
}

TEST_CASE_TEMPLATE("a client that expects 100 Continue gets it, or a final status", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.content_limit = 5});
    fixture.server().handle(
        "POST", "/", [](Exchange& exchange) { exchange.respond(exchange.request().content()); });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(fixture.receive(peer, "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("hello");
    CHECK(status_of(fixture.receive(peer, "hello").substr(25)) == "HTTP/1.1 200 OK");
    RawPeer refused = fixture.connect();
    refused.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n");
    REQUIRE(fixture.run_until([&] {
        refused.read_some();
        return refused.received().ends_with("</html>\n") || refused.end() != RawPeer::End::open;
    }));
    CHECK(status_of(refused.received()) == "HTTP/1.1 413 Content Too Large");
}

TEST_CASE_TEMPLATE("a handler may respond later, and its failure becomes 500", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Exchange* later = nullptr;
    fixture.server().handle("GET", "/later", [&](Exchange& exchange) { later = &exchange; });
    fixture.server().handle("GET", "/throw", [](Exchange&) { throw 1; });
    fixture.server().handle("GET", "/bad", [](Exchange& exchange) {
        static_cast<void>(exchange.response().set_status(204));
        exchange.respond("no content may be here");
    });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send(
        "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /throw HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /bad HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return later != nullptr; }));
    fixture.run_some();
    peer.read_some();
    CHECK(peer.received().empty());
    later->respond("at last");
    const std::string seen = fixture.receive_to_end(peer);
    CHECK(seen.find("at last") < seen.find("500 Internal Server Error"));
    CHECK(seen.find("500", seen.find("500 Internal Server Error") + 3) != std::string::npos);
    CHECK(seen.find("no content") == std::string::npos);
    // The client of this one closes first: its response is discarded.
    later = nullptr;
    {
        RawPeer gone = fixture.connect();
        gone.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
        REQUIRE(fixture.run_until([&] { return later != nullptr; }));
    }
    fixture.run_some();
    later->respond("unsent");
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 0; }));
}

TEST_CASE_TEMPLATE("content is streamed both ways", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    // An echo that never stores more than its buffer.
    struct Echo {
        Exchange& exchange;
        char buffer[1000];
        bool begun = false;
        bool finishing = false;
        std::size_t got = 0;
        Aio reads;
        Aio writes;
        explicit Echo(Exchange& of)
            : exchange(of),
              reads(of.engine(), [this](Aio&) { on_read(); }),
              writes(of.engine(), [this](Aio&) { on_written(); }) {
            of.begin(writes);
        }
        void on_written() {
            if (finishing || writes.result()) {
                writes.result() ? exchange.abort() : exchange.end();
                delete this;
                return;
            }
            reads.set_iov(buffer, sizeof buffer);
            exchange.reader().read(reads);
        }
        void on_read() {
            finishing = reads.result() == Errc::end_of_stream;
            writes.set_iov(buffer, reads.count());
            finishing ? exchange.writer().finish(writes) : exchange.writer().write(writes);
        }
    };
    fixture.server()
        .handle("POST", "/", [](Exchange& exchange) { new Echo(exchange); })
        .stream_content();
    fixture.listen();
    const std::string content = pattern(50000);
    RawPeer peer = fixture.connect();
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n");
    std::size_t sent = 0;
    REQUIRE(fixture.run_until([&] {
        if (sent < content.size()) sent += peer.send_some(content.substr(sent, 3000));
        peer.read_some();
        return peer.received().ends_with("\r\n0\r\n\r\n");
    }));
    CHECK(has_line(peer.received(), "Transfer-Encoding: chunked"));
    std::string got;
    std::string rest = content_of(peer.received());
    while (!rest.empty()) {
        std::size_t used = 0;
        const std::size_t size = std::stoul(rest, &used, 16);
        if (size == 0) break;
        got += rest.substr(used + 2, size);
        rest.erase(0, used + 2 + size + 2);
    }
    CHECK(got == content);
    // The same for a client without chunks: up to the end of the connection.
    RawPeer old = fixture.connect();
    old.send("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
    const std::string seen = fixture.receive_to_end(old);
    CHECK(content_of(seen) == "hello");
    CHECK(has_line(seen, "Connection: close"));
}

TEST_CASE_TEMPLATE("the access log records every response, whole or streamed", Kernel, OnLinux,
                   OnPoll) {
    std::string log;
    ServerFixture fixture(
        Kernel::kKind, {.access_log = [&](const http::AccessRecord& record) {
            log += std::string(record.target) + " " + std::to_string(record.status) + " " +
                   std::to_string(record.bytes) + (record.error ? " cut\n" : "\n");
        }});
    struct Piece {
        Exchange& exchange;
        int step = 0;
        Aio aio;
        explicit Piece(Exchange& of) : exchange(of), aio(of.engine(), [this](Aio&) { next(); }) {
            of.begin(aio);
        }
        void next() {
            const bool fails = exchange.path() == "/fails";
            if (++step == 1) {
                aio.set_iov("hello", 5);
                return exchange.writer().write(aio);
            }
            if (step == 2 && !fails) return exchange.writer().finish(aio);
            fails ? exchange.abort() : exchange.end();
            delete this;
        }
    };
    fixture.server().handle("GET", "/whole", [](Exchange& exchange) { exchange.respond("x"); });
    fixture.server().handle("GET", "/", [](Exchange& exchange) { new Piece(exchange); }).prefix();
    fixture.listen();
    const std::string whole = fixture.get("/whole");
    fixture.get("/pieces");
    fixture.get("/fails");
    REQUIRE(fixture.run_until([&] { return fixture.server().requests() == 3; }));
    CHECK(log ==
          "/whole 200 " + std::to_string(whole.size()) + "\n/pieces 200 5\n/fails 200 5 cut\n");
}

TEST_CASE_TEMPLATE("unread content of unknown length ends the connection", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server()
        .handle("POST", "/", [](Exchange& exchange) { exchange.respond("no"); })
        .stream_content();
    fixture.listen();
    const std::string seen =
        fixture.ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    CHECK(has_line(seen, "Connection: close"));
}

TEST_CASE_TEMPLATE("a server does not accept beyond its limit of connections", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.connections = 1});
    fixture.server().handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    fixture.listen();
    std::optional<RawPeer> first(fixture.connect());
    RawPeer second = fixture.connect();
    const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    first->send(request);
    second.send(request);
    CHECK(fixture.receive(*first, "hi").ends_with("hi"));
    fixture.run_some();
    second.read_some();
    CHECK(second.received().empty());
    first.reset();
    CHECK(fixture.receive(second, "hi").ends_with("hi"));
}

TEST_CASE_TEMPLATE("idle_timeout and head_timeout close idle connections and slow heads", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.head_timeout = 40ms, .idle_timeout = 20ms});
    fixture.listen();
    RawPeer idle = fixture.connect();
    RawPeer slow = fixture.connect();
    slow.send("GET / HT");
    CHECK(fixture.receive_to_end(idle).empty());
    CHECK(status_of(fixture.receive_to_end(slow)) == "HTTP/1.1 408 Request Timeout");
}

TEST_CASE_TEMPLATE("drain closes idle connections, and the others after their responses", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Exchange* later = nullptr;
    fixture.server().handle("GET", "/", [&](Exchange& exchange) { later = &exchange; });
    fixture.listen();
    RawPeer idle = fixture.connect();
    RawPeer busy = fixture.connect();
    busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(fixture.run_until([&] { return later && fixture.server().connections() == 2; }));
    Aio drained(fixture.engine());
    fixture.server().drain(drained);
    CHECK(fixture.receive_to_end(idle).empty());
    CHECK(drained.busy());
    later->respond("bye");
    const std::string seen = fixture.receive_to_end(busy);
    CHECK(has_line(seen, "Connection: close"));
    CHECK(content_of(seen) == "bye");
    REQUIRE(fixture.run_until([&] { return !drained.busy(); }));
    CHECK(!drained.result());
    CHECK(fixture.server().connections() == 0);
}

TEST_CASE_TEMPLATE("the destructor of a server closes its connections and calls no handler", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    Exchange* later = nullptr;
    int calls = 0;
    fixture.server().handle("GET", "/", [&](Exchange& exchange) {
        ++calls;
        later = &exchange;
    });
    fixture.listen();
    RawPeer busy = fixture.connect();
    busy.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    RawPeer idle = fixture.connect();
    REQUIRE(fixture.run_until([&] { return later && fixture.server().connections() == 2; }));
    fixture.drop_server();
    CHECK(fixture.receive_to_end(idle).empty());
    CHECK(fixture.receive_to_end(busy).empty());
    later->respond("unsent");
    fixture.run_some();
    CHECK(calls == 1);
}

TEST_CASE_TEMPLATE("a handler takes the connection out of the server", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    std::optional<http::Connection> taken;
    Exchange* chat = nullptr;
    Aio switched(fixture.engine(), [&](Aio&) { taken.emplace(chat->hijack()); });
    fixture.server().handle("GET", "/chat", [&](Exchange& exchange) {
        chat = &exchange;
        static_cast<void>(exchange.response().set_status(101));
        static_cast<void>(exchange.response().headers().set("Connection", "upgrade"));
        static_cast<void>(exchange.response().headers().set("Upgrade", "chat"));
        exchange.begin(switched);
    });
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello");
    CHECK(status_of(fixture.receive(peer, "\r\n\r\n")) == "HTTP/1.1 101 Switching Protocols");
    REQUIRE(fixture.run_until([&] { return taken.has_value(); }));
    CHECK(fixture.server().connections() == 0);
    fixture.drop_server();
    std::string in(5, '\0');
    Aio aio(fixture.engine());
    aio.set_iov(in.data(), in.size());
    taken->read_all(aio);
    CHECK(!aio.wait());
    CHECK(in == "hello");
    aio.set_iov("hi", 2);
    taken->write_all(aio);
    CHECK(!aio.wait());
    CHECK(fixture.receive(peer, "hi").ends_with("hi"));
}

TEST_CASE("several engines serve one port, and one drain waits for all") {
    EngineGroup group(2);
    http::Server server(group);
    server.handle("GET", "/", [](Exchange& exchange) { exchange.respond("hi"); });
    Endpoint endpoint = Endpoint::loopback(0);
    server.listen([&](Engine& engine) {
        tcp::ListenOptions options;
        options.reuse_port = true;
        auto listener = std::make_unique<tcp::Listener>(engine, endpoint, options);
        endpoint = listener->local_endpoint();
        return listener;
    });
    server.listen([](Engine& engine) {  // a second address, while the first is in use
        return std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    });
    for (int i = 0; i < 20; ++i) {
        RawPeer peer = RawPeer::connect_tcp(endpoint);
        peer.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!peer.received().ends_with("hi")) {
            REQUIRE(Clock::now() < limit);
            peer.read_some();
        }
    }
    Aio drained(group.engine(0));
    drained.set_timeout(kPatience);
    server.drain(drained);
    CHECK(!drained.wait());
    CHECK(server.connections() == 0);
    CHECK(server.requests() == 20);
}

}  // namespace uaio::http_server_test
