// An http::Client sends the request for a URL to the origin of that URL or nowhere.
#include <uaio/argument_error.h>
#include <uaio/dialer.h>
#include <uaio/http.h>
#include <uaio/http_error.h>
#include <uaio/tcp.h>
#include <uaio/tls.h>

#include "tests/support/client_lab.h"

#include <optional>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_client_origin_test {

// The client's error for a request with this URL, on a connector without a server; none if the
// error is one of connecting.
std::error_code refusal(Engine& engine, http::Client& client, std::string_view url) {
    Asked asked(engine, url);
    client.transact(asked.request, asked.response, asked.end.aio);
    REQUIRE(run_until(engine, [&] { return asked.end.done(); }));
    const std::error_code error = asked.end.ended().error;
    REQUIRE(error);
    return error.category() == http_category() ? error : std::error_code();
}

// Counts requests for a connection, and makes none.
class Nowhere final : public Connector {
public:
    explicit Nowhere(const Origin& origin) : origin_(origin) {}
    void connect(Aio& aio, StreamPtr& out) override {
        ++connects;
        tcp::connect(Endpoint::loopback(1), {}, aio, out);
    }
    Origin origin() const noexcept override { return origin_; }

    unsigned connects = 0;

private:
    Origin origin_;
};

TEST_CASE_TEMPLATE("an https URL over plain connections is an error, and nothing is sent", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.redirects = 3});
    for (const char* const url : {"https://h/", "wss://h/", "HTTPS://h:80/"}) {
        Asked asked(lab.engine(), url);
        lab.ask(asked);
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == failure(HttpErrc::insecure_connector));
    }
    // Another target and another Host do not change the request's origin.
    Asked changed(lab.engine(), "https://h/");
    REQUIRE(!changed.request.set_target("/other"));
    REQUIRE(!changed.request.headers().set("Host", "plain"));
    CHECK(changed.request.origin() == "https://h");
    lab.ask(changed);
    REQUIRE(lab.run_until([&] { return changed.end.done(); }));
    CHECK(changed.end.ended() == failure(HttpErrc::insecure_connector));
    // A whole URL as the target is for a proxy, without TLS.
    Asked whole(lab.engine());
    whole.request.reset();
    REQUIRE(!whole.request.set_target("https://h/"));
    REQUIRE(!whole.request.headers().set("Host", "h"));
    lab.ask(whole);
    REQUIRE(lab.run_until([&] { return whole.end.done(); }));
    CHECK(whole.end.ended() == failure(HttpErrc::insecure_connector));
    CHECK(lab.client().statistics().connections == 0);
}

TEST_CASE_TEMPLATE("a redirect from http to https on the same host is not followed without TLS",
                   Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.redirects = 3});
    Asked asked(lab.engine());
    REQUIRE(!asked.request.headers().set("Authorization", "secret"));
    lab.ask(asked);
    RawPeer peer = lab.accept();
    lab.expect(peer, ClientLab::kEnd);
    const std::size_t sent = peer.received().size();
    CHECK(lab.answer(asked, peer,
                     "HTTP/1.1 301 Moved\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n") ==
          success(0));
    CHECK(asked.response.status() == 301);
    peer.read_some();
    CHECK(peer.received().size() == sent);
}

TEST_CASE_TEMPLATE("a request for another origin than the connector's is an error", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    const struct {
        Origin origin;
        const char* url;
        std::error_code wanted;
    } cases[] = {
        {{false, "a", 80}, "http://a/", {}},
        {{false, "a", 80}, "http://A:80/x", {}},
        {{false, "a", 80}, "ws://a/", {}},
        {{false, "a", 80}, "http://b/", HttpErrc::wrong_origin},
        {{false, "a", 80}, "http://a:81/", HttpErrc::wrong_origin},
        {{false, "a", 80}, "http://a.b/", HttpErrc::wrong_origin},
        {{false, "a", 80}, "https://a/", HttpErrc::insecure_connector},
        {{true, "a", 443}, "https://a/", {}},
        {{true, "a", 443}, "wss://a/", {}},
        {{true, "a", 443}, "https://a:80/", HttpErrc::wrong_origin},
        {{true, "a", 443}, "http://a:443/", HttpErrc::wrong_origin},
        {{true, "a", 443}, "https://b/", HttpErrc::wrong_origin},
        {{true, "::1", 443}, "https://[::1]/", {}},
        {{true, "a", 0}, "https://a:8443/", {}},
        {{false, "", 81}, "http://any:81/", {}},
        {{false, "", 81}, "http://any/", HttpErrc::wrong_origin},
    };
    for (const auto& one : cases) {
        CAPTURE(one.url);
        Nowhere connector(one.origin);
        http::Client client(connector);
        CHECK(refusal(engine, client, one.url) == one.wanted);
        CHECK(connector.connects == (one.wanted ? 0 : 1));
    }
}

TEST_CASE_TEMPLATE("the first URL sets the origin if the connector has none", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    Nowhere connector({});
    http::Client client(connector);
    CHECK(refusal(engine, client, "https://first/") == HttpErrc::insecure_connector);
    CHECK(!refusal(engine, client, "http://second:8080/"));
    CHECK(!refusal(engine, client, "http://second:8080/again"));
    CHECK(refusal(engine, client, "http://second/") == HttpErrc::wrong_origin);
    CHECK(refusal(engine, client, "http://third:8080/") == HttpErrc::wrong_origin);
    CHECK(connector.connects == 2);
}

TEST_CASE_TEMPLATE("requests with a target and a Host are sent to any virtual host", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind);
    std::optional<RawPeer> peer;
    for (const std::string host : {"one.example", "two.example:81"}) {
        Asked asked(lab.engine());
        asked.request.reset();
        REQUIRE(!asked.request.set_target("/x"));
        REQUIRE(!asked.request.headers().set("Host", host));
        CHECK(asked.request.origin() == "");
        lab.ask(asked);
        if (!peer) peer.emplace(lab.accept());
        lab.expect(*peer, "GET /x HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        CHECK(lab.answer(asked, *peer, ClientLab::kFive) == success(5));
    }
}

TEST_CASE("a connector reports its origin") {
    CHECK(!tcp::Connector(Endpoint::loopback(8080)).origin().secure);
    CHECK(tcp::Connector(Endpoint::loopback(8080)).origin().host.empty());
    const auto is = [](const Dialer& dialer, bool secure, std::string_view host, unsigned port) {
        const Origin origin = dialer.origin();
        return origin.secure == secure && origin.host == host && origin.port == port;
    };
    const DialOptions options{.proxy = "http://proxy:3128",
                              .start_tls = [](StreamPtr&, const std::string&, Aio&) {}};
    CHECK(is(Dialer("http://a", options), false, "a", 80));
    CHECK(is(Dialer("a:81", options), false, "a", 81));
    CHECK(is(Dialer("https://[::1]:444/x", options), true, "::1", 444));
    CHECK(is(Dialer("wss://a", options), true, "a", 443));
    CHECK(is(Dialer("tls://a:5", options), true, "a", 5));
    CHECK(is(Dialer("tcp://a:5", options), false, "a", 5));
    CHECK(is(Dialer("gopher://a", options), false, "", 0));
}

TEST_CASE("a request has the origin of its URL until it is reset") {
    http::Request request("HTTP://Host:8080/a?b#c");
    CHECK(request.origin() == "http://Host:8080");
    CHECK(request.target() == "/a?b");
    REQUIRE(!request.set_target(request.target().substr(0, 2)));  // a part of itself
    CHECK(request.target() == "/a");
    CHECK(request.origin() == "http://Host:8080");
    REQUIRE(!request.set_url("wss://other:443?q"));
    CHECK(request.origin() == "https://other");
    CHECK(request.target() == "/?q");
    CHECK(request.headers().get("Host") == "other");
    CHECK(request.set_url("ftp://other/") == ArgumentErrc::invalid_url);
    CHECK(request.origin() == "https://other");
    request.reset();
    CHECK(request.origin() == "");
    CHECK(request.target() == "");
}

TEST_CASE("the error for a refused URL quotes it without user information and query") {
    try {
        http::Request request("http://user:secret@host/path?token=secret#secret");
        FAIL("it was accepted");
    } catch (const std::system_error& error) {
        const std::string what = error.what();
        CHECK(what.find("secret") == std::string::npos);
        CHECK(what.find("host/path") != std::string::npos);
    }
}

}  // namespace uaio::http_client_origin_test
