// The connections of an http::Client, with a scripted peer and with the library's server.
#include <uaio/argument_error.h>
#include <uaio/http.h>
#include <uaio/http_error.h>
#include <uaio/tcp.h>

#include "tests/support/client_lab.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/server_fixture.h"

#include <optional>

#include <doctest/doctest.h>

namespace uaio::http_client_test {

using namespace std::chrono_literals;
using http::Exchange;
using http::Request;
using http::Response;
constexpr std::string_view kEnd = ClientLab::kEnd;
constexpr std::string_view kFive = ClientLab::kFive;

TEST_CASE_TEMPLATE("transact: a length, chunks, HEAD, 204 and 304 with a length (X-1, X-2, S1)",
                   Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    const struct {
        const char* method;
        std::string_view response;
        std::string_view content;
    } cases[] = {
        {"GET", kFive, "hello"},
        {"GET",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n"
         "0\r\nT: v\r\n\r\n",
         "hello world"},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ""},
        {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
        {"GET",
         "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 0\r\n\r\n",
         ""},
        {"GET", "HTTP/1.1 200 OK\r\n\r\n", ""},
    };
    std::optional<RawPeer> peer;
    for (const auto& one : cases) {
        Asked asked(lab.engine());
        REQUIRE(!asked.request.set_method(one.method));
        lab.ask(asked);
        if (!peer) peer.emplace(lab.accept());
        lab.expect(*peer, kEnd);
        if (one.response.ends_with("OK\r\n\r\n")) {  // up to the end of the stream
            peer->send(one.response);
            peer->shutdown_write();
            REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        } else {
            static_cast<void>(lab.answer(asked, *peer, one.response));
        }
        CHECK(asked.end.ended() == success(one.content.size()));
        CHECK(asked.response.content() == one.content);
    }
    CHECK(lab.client().statistics().connections == 1);
    CHECK(lab.client().statistics().reuses == std::size(cases) - 1);
}

TEST_CASE_TEMPLATE("a request is sent as it is, whether or not it equals the one before", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    const struct {
        const char* method;
        const char* field;
        std::string_view content;
    } cases[] = {
        {"GET", "a", ""},     {"GET", "a", ""},   {"GET", "b", ""},
        {"GET", "bb", ""},    {"GET", "bb", ""},  {"POST", "bb", "in"},
        {"POST", "bb", "in"}, {"HEAD", "bb", ""}, {"GET", "a", ""},
    };
    std::optional<RawPeer> peer;
    std::string expected;
    for (const auto& one : cases) {
        Asked asked(lab.engine());
        REQUIRE(!asked.request.set_method(one.method));
        REQUIRE(!asked.request.headers().set("X", one.field));
        if (!one.content.empty()) REQUIRE(!asked.request.set_content(one.content));
        lab.ask(asked);
        if (!peer) peer.emplace(lab.accept());
        expected += std::string(one.method) + " / HTTP/1.1\r\nHost: h\r\nX: " + one.field + "\r\n";
        if (!one.content.empty()) expected += "Content-Length: 2\r\n";
        expected += "\r\n" + std::string(one.content);
        lab.expect(*peer, expected);
        const bool head = std::string_view(one.method) == "HEAD";
        const std::string_view answer = head ? kFive.substr(0, kFive.size() - 5) : kFive;
        CHECK(lab.answer(asked, *peer, answer) == success(head ? 0 : 5));
    }
    CHECK(peer->received() == expected);
}

TEST_CASE_TEMPLATE("a response with truncated content is an error (X-3, S5)", Kernel, OnLinux,
                   OnPoll) {
    for (const std::string_view response :
         {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
        ClientLab lab(Kernel::kKind);
        Asked asked(lab.engine());
        lab.ask(asked);
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
        peer.send(response);
        peer.shutdown_write();
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == failure(Errc::truncated, 5));
        CHECK(asked.response.content() == "hello");
    }
}

TEST_CASE_TEMPLATE("a transaction that is cancelled or expires closes only its connection (X-4)",
                   Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    Asked first(lab.engine());
    Asked second(lab.engine());
    lab.ask(first);
    RawPeer one = lab.accept();
    lab.ask(second);
    RawPeer two = lab.accept();
    lab.expect(one, kEnd);
    SUBCASE("in the middle of the content") {
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        REQUIRE(lab.run_until([&] { return first.response.content().starts_with("hello"); }));
        first.end.aio.cancel();
        REQUIRE(lab.run_until([&] { return first.end.done(); }));
        CHECK(first.end.ended() == failure(Errc::canceled, 5));
        CHECK(first.response.content() == "hello");
    }
    SUBCASE("cancelled") {
        first.end.aio.cancel();
        REQUIRE(lab.run_until([&] { return first.end.done(); }));
        CHECK(first.end.ended() == failure(Errc::canceled));
    }
    SUBCASE("expired") {
        lab.answer(second, two, kFive);
        first.end.aio.cancel();
        REQUIRE(lab.run_until([&] { return first.end.done(); }));
        Asked late(lab.engine());
        late.end.aio.set_timeout(20ms);
        lab.ask(late);
        REQUIRE(lab.run_until([&] { return late.end.done(); }));
        CHECK(late.end.ended() == failure(Errc::timed_out));
        return;
    }
    REQUIRE(lab.run_until([&] {
        one.read_some();
        return one.end() != RawPeer::End::open;
    }));
    CHECK(lab.answer(second, two, kFive) == success(5));
}

TEST_CASE_TEMPLATE("a connect that is refused or expires is the error of the transaction (X-5)",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    std::optional<RawListener> listener(std::in_place);
    tcp::Connector connector(listener->endpoint());
    listener.reset();
    http::Client client(connector);
    Asked asked(engine);
    client.transact(asked.request, asked.response, asked.end.aio);
    CHECK(asked.end.aio.wait() == std::errc::connection_refused);
    client.transact(asked.request, asked.response, asked.end.aio);
    CHECK(asked.end.aio.wait() == std::errc::connection_refused);
}

TEST_CASE_TEMPLATE("only an idempotent request on a dead idle connection is sent again (S9)",
                   Kernel, OnLinux, OnPoll) {
    for (const bool idempotent : {true, false}) {
        ClientLab lab(Kernel::kKind);
        Asked first(lab.engine());
        lab.ask(first);
        RawPeer one = lab.accept();
        lab.expect(one, kEnd);
        CHECK(lab.answer(first, one, kFive) == success(5));
        Asked again(lab.engine());
        REQUIRE(!again.request.set_method(idempotent ? "PUT" : "POST"));
        lab.ask(again);
        lab.expect(one, "Content-Length: 0\r\n\r\n");
        one.close();
        if (!idempotent) {
            REQUIRE(lab.run_until([&] { return again.end.done(); }));
            CHECK(again.end.ended() == failure(HttpErrc::no_response));
            continue;
        }
        RawPeer two = lab.accept();
        lab.expect(two, "Content-Length: 0\r\n\r\n");
        CHECK(lab.answer(again, two, kFive) == success(5));
        CHECK(lab.client().statistics().retries == 1);
        // Only one retry.
        Asked third(lab.engine());
        lab.ask(third);
        lab.expect(two, kEnd);
        two.close();
        RawPeer three = lab.accept();
        lab.expect(three, kEnd);
        three.close();
        REQUIRE(lab.run_until([&] { return third.end.done(); }));
        CHECK(third.end.ended() == failure(HttpErrc::no_response));
    }
}

TEST_CASE_TEMPLATE("an idle connection that receives bytes is discarded (S6)", Kernel, OnLinux,
                   OnPoll) {
    ClientLab lab(Kernel::kKind);
    Asked first(lab.engine());
    lab.ask(first);
    RawPeer one = lab.accept();
    lab.expect(one, kEnd);
    SUBCASE("behind the response") {
        CHECK(lab.answer(first, one, std::string(kFive) + "HTTP/1.1 200 OK\r\n\r\n") == success(5));
    }
    SUBCASE("later") {
        CHECK(lab.answer(first, one, kFive) == success(5));
        one.send("HTTP/1.1 200 OK\r\n\r\n");
    }
    SUBCASE("end of stream") {
        CHECK(lab.answer(first, one, kFive) == success(5));
        one.shutdown_write();
    }
    REQUIRE(lab.run_until([&] { return lab.client().statistics().discarded == 1; }));
    Asked second(lab.engine());
    lab.ask(second);
    RawPeer two = lab.accept();
    lab.expect(two, kEnd);
    CHECK(lab.answer(second, two, kFive) == success(5));
    CHECK(lab.client().statistics().connections == 2);
}

TEST_CASE_TEMPLATE("an early response stops the sending of its request (S8)", Kernel, OnLinux,
                   OnPoll) {
    ClientLab lab(Kernel::kKind);
    Asked asked(lab.engine());
    const std::string content = pattern(16 << 20);
    REQUIRE(!asked.request.set_method("POST"));
    REQUIRE(!asked.request.set_content(content));
    lab.ask(asked);
    RawPeer peer = lab.accept();
    REQUIRE(lab.run_until([&] { return peer.unread() > 1000; }));
    CHECK(lab.answer(asked, peer, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n") ==
          success(0));
    CHECK(asked.response.status() == 413);
    REQUIRE(lab.run_until([&] {
        peer.read_some();
        return peer.end() != RawPeer::End::open;
    }));
    CHECK(peer.received().size() < content.size());
}

TEST_CASE_TEMPLATE("a transaction has no operation in flight when its callback runs", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    Request request("http://h/");
    Response response;
    const std::string content = pattern(16 << 20);
    REQUIRE(!request.set_method("PUT"));
    REQUIRE(!request.set_content(content));
    std::optional<std::uint64_t> in_flight;
    Aio aio(lab.engine(), [&](Aio&) { in_flight = lab.engine().statistics().in_flight; });
    lab.client().transact(request, response, aio);
    RawPeer peer = lab.accept();
    REQUIRE(lab.run_until([&] { return peer.unread() > 1000; }));
    SUBCASE("cancelled while the request is sent") { aio.cancel(); }
    SUBCASE("answered early") { peer.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"); }
    SUBCASE("answered early, with a redirect to nowhere") {
        peer.send("HTTP/1.1 307 No\r\nContent-Length: 0\r\n\r\n");
    }
    SUBCASE("cancelled in the middle of an early response") {
        peer.send("HTTP/1.1 413 No\r\nContent-Length: 10\r\n\r\nhello");
        REQUIRE(lab.run_until([&] { return response.content().starts_with("hello"); }));
        aio.cancel();
    }
    SUBCASE("its client is destroyed") { lab.drop_client(); }
    REQUIRE(lab.run_until([&] { return in_flight.has_value(); }));
    CHECK(*in_flight == 0);
}

TEST_CASE_TEMPLATE("requests beyond the connections are queued, and can be cancelled", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.connections = 1});
    Asked first(lab.engine());
    Asked second(lab.engine());
    Asked third(lab.engine(), "http://h/third");
    lab.ask(first);
    lab.ask(second);
    lab.ask(third);
    RawPeer peer = lab.accept();
    lab.expect(peer, kEnd);
    second.end.aio.cancel();
    REQUIRE(lab.run_until([&] { return second.end.done(); }));
    CHECK(second.end.ended() == failure(Errc::canceled));
    CHECK(lab.answer(first, peer, kFive) == success(5));
    lab.expect(peer, "Host: h\r\n\r\n");
    CHECK(lab.answer(third, peer, kFive) == success(5));
    CHECK(peer.received().find("GET /third") != std::string::npos);
    CHECK(lab.client().statistics().connections == 1);
}

TEST_CASE_TEMPLATE("redirects to the same host are followed up to the limit", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("POST", "/a", http::redirect("/b", 307));
    fixture.server().handle("POST", "/b", http::redirect("http://h/c", 303));
    fixture.server().handle("GET", "/c", [](Exchange& exchange) { exchange.respond("there"); });
    fixture.server().handle("GET", "/away", http::redirect("http://elsewhere/", 302));
    fixture.listen();
    tcp::Connector connector(fixture.endpoint());
    http::Client client(connector, {.redirects = 5});
    const std::pair<const char*, std::pair<int, const char*>> cases[] = {{"/a", {200, "there"}},
                                                                         {"/away", {302, nullptr}}};
    for (const auto& [target, wanted] : cases) {
        Asked asked(fixture.engine());
        if (target == std::string_view("/a")) {
            REQUIRE(!asked.request.set_method("POST"));
            REQUIRE(!asked.request.copy_content("x"));
        }
        REQUIRE(!asked.request.set_target(target));
        client.transact(asked.request, asked.response, asked.end.aio);
        REQUIRE(fixture.run_until([&] { return asked.end.done(); }));
        CHECK(!asked.end.ended().error);
        CHECK(asked.response.status() == wanted.first);
        if (wanted.second) CHECK(asked.response.content() == wanted.second);
    }
}

TEST_CASE_TEMPLATE("a request that announces content it does not have is refused at once", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    for (const char* field : {"Transfer-Encoding", "Content-Length"}) {
        Asked asked(lab.engine());
        REQUIRE(!asked.request.set_method("POST"));
        REQUIRE(!asked.request.headers().set(field, *field == 'T' ? "chunked" : "5"));
        lab.ask(asked);
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == failure(ArgumentErrc::invalid_message));
    }
    CHECK(lab.client().statistics().connections == 0);
}

TEST_CASE_TEMPLATE("a client's errors name the server's fault", Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    CHECK(uaio::strerror(HttpErrc::content_too_large).find("content_limit") != std::string::npos);
    Asked unanswered(lab.engine());
    lab.ask(unanswered);
    {
        RawPeer peer = lab.accept();
        lab.expect(peer, kEnd);
    }
    REQUIRE(lab.run_until([&] { return unanswered.end.done(); }));
    CHECK(unanswered.end.ended() == failure(HttpErrc::no_response));
    CHECK(uaio::strerror(HttpErrc::no_response).find("without a response") != std::string::npos);
}

TEST_CASE_TEMPLATE(
    "content of any framing may reach the client's limit, and one byte more is an error", Kernel,
    OnLinux, OnPoll) {
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    const struct {
        std::string response;
        bool fits;
    } cases[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true},
                 {chunked + "5\r\nhello\r\n0\r\n\r\n", true},
                 {to_the_end + "hello", true},
                 {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", false},
                 {chunked + "6\r\nhello!\r\n0\r\n\r\n", false},
                 {to_the_end + "hello!", false}};
    for (const auto& one : cases) {
        CAPTURE(one.response);
        ClientLab lab(Kernel::kKind, {.content_limit = 5});
        Asked asked(lab.engine());
        lab.ask(asked);
        {
            RawPeer peer = lab.accept();
            lab.expect(peer, kEnd);
            peer.send(one.response);
        }
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended().error ==
              (one.fits ? std::error_code() : make_error_code(HttpErrc::content_too_large)));
        if (one.fits) CHECK(asked.response.content() == "hello");
    }
}

TEST_CASE_TEMPLATE(
    "transact refuses large content, another engine and invalid requests, and ends with its client",
    Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.content_limit = 4});
    Asked large(lab.engine());
    lab.ask(large);
    RawPeer one = lab.accept();
    lab.expect(one, kEnd);
    CHECK(lab.answer(large, one, kFive) == failure(HttpErrc::content_too_large));
    Engine other(options_on(Kernel::kKind));
    Asked foreign(other);
    lab.ask(foreign);
    CHECK(foreign.end.aio.wait() == ArgumentErrc::wrong_engine);
    Asked bad(lab.engine());
    bad.request.reset();
    lab.ask(bad);
    RawPeer two = lab.accept();
    REQUIRE(lab.run_until([&] { return bad.end.done(); }));
    CHECK(bad.end.ended() == failure(ArgumentErrc::invalid_message));
    Asked waiting(lab.engine());
    lab.ask(waiting);
    lab.expect(two, kEnd);
    lab.drop_client();
    REQUIRE(lab.run_until([&] { return waiting.end.done(); }));
    CHECK(waiting.end.ended() == failure(Errc::closed));
}

}  // namespace uaio::http_client_test
