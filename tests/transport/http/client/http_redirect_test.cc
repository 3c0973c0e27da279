// The target of a redirect, and the request to it (RFC 9110 section 15.4).
#include <uaio/http.h>
#include <uaio/http_error.h>
#include <uaio/tcp.h>

#include "tests/support/client_lab.h"

#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_redirect_test {

std::string redirect_to(int status, std::string_view location) {
    return "HTTP/1.1 " + std::to_string(status) +
           " Moved\r\nContent-Length: 0\r\nLocation: " + std::string(location) + "\r\n\r\n";
}

// A request, the answer to it, and the request that follows; empty if none does.
template <class Prepare>
std::string followed(KernelKind kind, std::string_view response, Prepare prepare,
                     std::string_view url = "http://h/b/c/d;p?q") {
    ClientLab lab(kind, {.redirects = 3});
    Asked asked(lab.engine(), url);
    prepare(asked.request);
    const bool head_only = asked.request.method() == "HEAD";
    lab.ask(asked);
    RawPeer peer = lab.accept();
    REQUIRE(lab.run_until([&] {
        peer.read_some();
        return peer.received().find(ClientLab::kEnd) != std::string::npos;
    }));
    const std::size_t sent = peer.received().size();
    peer.send(response);
    REQUIRE(lab.run_until([&] {
        peer.read_some();
        return asked.end.done() || peer.received().find(ClientLab::kEnd, sent) != std::string::npos;
    }));
    if (asked.end.done()) {
        CHECK(!asked.end.ended().error);
        CHECK(asked.response.status() / 100 == 3);
        return {};
    }
    std::string_view answer = ClientLab::kFive;
    if (head_only) answer = answer.substr(0, answer.find("\r\n\r\n") + 4);
    CHECK(lab.answer(asked, peer, answer) == success(head_only ? 0 : 5));
    CHECK(asked.response.status() == 200);
    return peer.received().substr(sent);
}

std::string line_of(const std::string& head) { return head.substr(0, head.find("\r\n")); }

TEST_CASE_TEMPLATE("a redirect to the same origin resolves by RFC 3986 section 5", Kernel, OnLinux,
                   OnPoll) {
    const std::pair<const char*, const char*> cases[] = {
        {"/g", "/g"},
        {"g", "/b/c/g"},
        {"../../../g", "/g"},
        {"?y", "/b/c/d;p?y"},
        {"./g/../h#s", "/b/c/h"},
        {"//h/g", "/g"},
        {"//H:80/g", "/g"},
        {"HTTP://h/g/./x#s", "/g/x"},
        {"http://h", "/"},
        {"http://h?y", "/?y"},
        {"#s", "/b/c/d;p?q"},
        {"/\xc3\xa4", "/%C3%A4"},
    };
    for (const auto& [location, target] : cases) {
        CAPTURE(location);
        const std::string head =
            followed(Kernel::kKind, redirect_to(302, location), [](http::Request&) {});
        CHECK(line_of(head) == "GET " + std::string(target) + " HTTP/1.1");
        CHECK(head.find("\r\nHost: h\r\n") != std::string::npos);
    }
}

TEST_CASE_TEMPLATE("a redirect to another origin, to no URL or to several is not followed", Kernel,
                   OnLinux, OnPoll) {
    for (const char* const location : {"https://h/",
                                       "https://h:80/",
                                       "http://h:8080/",
                                       "//other/",
                                       "http://other/",
                                       "http://user:pass@h/",
                                       "//user@h/",
                                       "file:///etc/passwd",
                                       "javascript:alert(1)",
                                       "ftp://h/",
                                       "ws://h/",
                                       "wss://h/",
                                       "http:g",
                                       "http://",
                                       "http:///g",
                                       "http://h:99999/",
                                       "/a b",
                                       "http://h\\@other/",
                                       "/a\r\nLocation: /b",
                                       ""}) {
        CAPTURE(location);
        const std::string response = redirect_to(302, location);
        CHECK(followed(Kernel::kKind, response, [](http::Request&) {}) == "");
    }
    CHECK(followed(Kernel::kKind, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
                   [](http::Request&) {}) == "");
    for (const int status : {300, 304, 305, 306}) {
        CAPTURE(status);
        CHECK(followed(Kernel::kKind, redirect_to(status, "/g"), [](http::Request&) {}) == "");
    }
}

TEST_CASE_TEMPLATE("301 and 302 of POST, and 303 of all methods but HEAD, change the method to GET",
                   Kernel, OnLinux, OnPoll) {
    for (const int status : {301, 302, 303, 307, 308}) {
        for (const std::string method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "post"}) {
            CAPTURE(status);
            CAPTURE(method);
            const bool to_get = status == 303 ? method != "HEAD" : status < 303 && method == "POST";
            const bool has_content = method != "GET" && method != "HEAD";
            const std::string head =
                followed(Kernel::kKind, redirect_to(status, "/g"), [&](http::Request& request) {
                    REQUIRE(!request.set_method(method));
                    REQUIRE(!request.headers().set("X-Mine", "kept"));
                    if (!has_content) return;
                    REQUIRE(!request.set_content("four"));
                    for (const char* const name :
                         {"Content-Type", "Content-Encoding", "content-language", "Content-Custom",
                          "Digest", "Trailer", "Last-Modified"}) {
                        REQUIRE(!request.headers().set(name, "x"));
                    }
                });
            CHECK(line_of(head) == (to_get ? "GET" : method) + " /g HTTP/1.1");
            CHECK(head.find("\r\nX-Mine: kept\r\n") != std::string::npos);
            const bool keeps = has_content && !to_get;
            CHECK((head.find("Content-Length: 4\r\n") != std::string::npos) == keeps);
            for (const char* const name : {"Content-Type", "Content-Encoding", "content-language",
                                           "Content-Custom", "Digest", "Trailer", "Last-Modified"})
                CHECK((head.find(name) != std::string::npos) == keeps);
        }
    }
}

TEST_CASE_TEMPLATE("a redirect keeps HEAD, and credentials are sent to their origin only", Kernel,
                   OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.redirects = 3});
    Asked asked(lab.engine());
    REQUIRE(!asked.request.set_method("HEAD"));
    REQUIRE(!asked.request.headers().set("Authorization", "Basic eA=="));
    lab.ask(asked);
    RawPeer peer = lab.accept();
    lab.expect(peer, ClientLab::kEnd);
    peer.send(redirect_to(303, "/g"));
    lab.expect(peer, "HEAD /g HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eA==\r\n\r\n");
    CHECK(lab.answer(asked, peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") == success(0));
}

TEST_CASE_TEMPLATE("a loop of redirects ends at the limit with an error and the last response",
                   Kernel, OnLinux, OnPoll) {
    ClientLab lab(Kernel::kKind, {.redirects = 3});
    Asked asked(lab.engine());
    lab.ask(asked);
    RawPeer peer = lab.accept();
    std::size_t requests = 0;
    REQUIRE(lab.run_until([&] {
        if (peer.read_some() > 0 && peer.received().ends_with(ClientLab::kEnd)) {
            ++requests;
            peer.send(redirect_to(302, requests % 2 ? "/a" : "/b"));
        }
        return asked.end.done();
    }));
    CHECK(asked.end.ended() == failure(HttpErrc::too_many_redirects));
    CHECK(requests == 4);
    CHECK(asked.response.status() == 302);
    CHECK(asked.response.headers().get("Location") == "/b");
    CHECK(asked.request.target() == "/a");  // as sent last
}

// A connector that reports its origin.
class Named final : public Connector {
public:
    Named(const Endpoint& endpoint, const Origin& origin) : below_(endpoint), origin_(origin) {}
    void connect(Aio& aio, StreamPtr& out) override { below_.connect(aio, out); }
    Origin origin() const noexcept override { return origin_; }

private:
    tcp::Connector below_;
    Origin origin_;
};

TEST_CASE_TEMPLATE("a redirect to another origin that the connector reaches carries no credentials",
                   Kernel, OnLinux, OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    RawListener listener;
    Named connector(listener.endpoint(), {false, "canonical", 80});
    http::Client client(connector, {.redirects = 3});
    Asked asked(engine);
    asked.request.reset();
    REQUIRE(!asked.request.set_target("/a"));
    REQUIRE(!asked.request.headers().set("Host", "alias"));
    for (const char* const name : {"Authorization", "Cookie", "Cookie2", "Proxy-Authorization",
                                   "WWW-Authenticate", "Proxy-Authenticate", "X-Mine"})
        REQUIRE(!asked.request.headers().set(name, "secret"));
    client.transact(asked.request, asked.response, asked.end.aio);
    run_until(engine, [&] {
        pollfd entry{listener.fd(), POLLIN, 0};
        return ::poll(&entry, 1, 0) == 1;
    });
    RawPeer peer = RawPeer::accept_from(listener.fd());
    const auto expect_another = [&](std::size_t from) {
        REQUIRE(run_until(engine, [&] {
            peer.read_some();
            return peer.received().find(ClientLab::kEnd, from) != std::string::npos;
        }));
    };
    expect_another(0);
    const std::size_t first = peer.received().size();
    CHECK(peer.received().find("Authorization: secret") != std::string::npos);
    peer.send(redirect_to(301, "http://Canonical/b"));
    expect_another(first);
    CHECK(peer.received().substr(first) ==
          "GET /b HTTP/1.1\r\nHost: Canonical\r\nX-Mine: secret\r\n\r\n");
    peer.send(redirect_to(301, "http://alias/c"));  // which the connector does not name
    REQUIRE(run_until(engine, [&] { return asked.end.done(); }));
    CHECK(asked.end.ended() == success(0));
    CHECK(asked.response.status() == 301);
}

}  // namespace uaio::http_redirect_test
