// The dialogue with HTTP proxies: the exact request, every kind of answer, and answers cut at every
// place. proxy_digest_test.cc tests Digest.
#include <uaio/argument_error.h>

#include "tests/support/run_dialogue.h"
#include "transport/proxy/connect.h"

#include <doctest/doctest.h>

namespace uaio::proxy_connect_test {

proxy::ConnectRequest request_to(const std::string& host, std::uint16_t port = 80) {
    proxy::ConnectRequest request;
    request.host = host;
    request.port = port;
    return request;
}

DialogueResult connect(const proxy::ConnectRequest& request,
                       const std::vector<DialogueStep>& script) {
    return run_dialogue([&] { return std::make_unique<proxy::ConnectDialogue>(request); }, script);
}

const std::string kRequest =
    "CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\nProxy-Connection: "
    "Keep-Alive\r\n\r\n";

DialogueResult connect(const std::string& answer) {
    return connect(request_to("origin.test"), {{kRequest, answer}});
}

TEST_CASE("a CONNECT request consists of the expected bytes") {
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
    CHECK(connect(request_to("::1", 8080),
                  {{"CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\nProxy-Connection: "
                    "Keep-Alive\r\n\r\n",
                    answer}}) == DialogueResult{});
    proxy::ConnectRequest request = request_to("origin.test", 443);
    request.has_credentials = true;
    request.user = "Aladdin";
    request.password = "open sesame";  // RFC 7617 section 2
    request.fields = {"User-Agent: me", "X-One:two"};
    CHECK(connect(request, {{"CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n"
                             "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
                             "Proxy-Connection: Keep-Alive\r\nUser-Agent: me\r\nX-One:two\r\n\r\n",
                             answer}}) == DialogueResult{});
}

TEST_CASE("Basic authentication is encoded whatever its length") {
    CHECK(proxy::answer_basic("", "") == "Basic Og==");
    CHECK(proxy::answer_basic("a", "") == "Basic YTo=");
    CHECK(proxy::answer_basic("a", "b") == "Basic YTpi");
    CHECK(proxy::answer_basic("a", "bc") == "Basic YTpiYw==");
    CHECK(proxy::answer_basic("\xff\xfe", "\xfd") == "Basic //46/Q==");
}

TEST_CASE("any 2xx opens the tunnel, and the bytes behind its head belong to the tunnel (49, 50)") {
    const DialogueResult early{{}, "early"};
    for (const char* head :
         {"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
          "HTTP/1.1 204\r\n\r\n", "HTTP/1.0 201 Created\r\nX: y\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\nLines: end\nin: line feeds\n\n",
          "HTTP/1.1 200 OK\r\nFolded: one\r\n two\r\n\tthree\r\n\r\n",
          "HTTP/1.1 200 \r\nno field\r\n: no name\r\nContent-Length: none\r\n\r\n"}) {
        CHECK(connect(std::string(head) + "early") == early);
        CHECK(connect(head) == DialogueResult{});
    }
}

TEST_CASE("any status but 2xx is a refusal, and its code is reported (51)") {
    for (const auto& [head, status] : std::vector<std::pair<std::string, int>>{
             {"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello", 403},
             {"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 503},
             {"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", 301},
             {"HTTP/1.1 100 Continue\r\n\r\n", 100}}) {
        CHECK(connect(head).error == Errc::proxy_refused);
        proxy::ConnectDialogue dialogue(request_to("origin.test"));
        std::string output;
        REQUIRE(!dialogue.begin(output));
        CHECK(dialogue.status() == 0);
        CHECK(dialogue.consume(head, output).error == Errc::proxy_refused);
        CHECK(dialogue.status() == status);
        CHECK(!dialogue.wants_another_connection());
    }
}

TEST_CASE("a malformed response of a proxy is refused (51)") {
    for (const char* answer :
         {"garbage\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n", "HTTP/1.x 200\r\n\r\n",
          "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "\r\n",
          "SSH-2.0-OpenSSH\r\n", "x"}) {
        CHECK(connect(answer).error == ProxyErrc::bad_reply);
    }
}

TEST_CASE("a response of a proxy beyond the limits is refused (54)") {
    const std::string status = "HTTP/1.1 200 OK\r\n";
    const std::string fits = "X: " + std::string(16 * 1024 - 5, 'x') + "\r\n";
    CHECK(connect(status + fits + "\r\n") == DialogueResult{});
    CHECK(connect(status + "x" + fits + "\r\n").error == ProxyErrc::reply_too_long);
    CHECK(connect(status + std::string(20000, 'x')).error == ProxyErrc::reply_too_long);
    std::string long_head = status;
    for (int i = 0; i < 400; ++i)
        long_head += "X: " + std::string(995, 'x') + "\r\n";
    CHECK(connect(long_head + "\r\n").error == ProxyErrc::reply_too_long);
    std::string many = status;
    for (int i = 0; i < 5000; ++i)
        many += "X:y\r\n";
    CHECK(connect(many + "\r\n").error == ProxyErrc::reply_too_long);
}

TEST_CASE("a 407 ends the dialogue without credentials, and with wrong ones (52)") {
    const std::string answer =
        "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n";
    CHECK(connect(answer).error == ProxyErrc::authentication_required);
    proxy::ConnectRequest request = request_to("origin.test");
    request.has_credentials = true;
    request.user = "user";
    request.password = "wrong";
    proxy::ConnectDialogue dialogue(request);
    std::string output;
    REQUIRE(!dialogue.begin(output));
    CHECK(dialogue.consume(answer, output).error == ProxyErrc::credentials_refused);
    CHECK(dialogue.status() == 407);
    CHECK(dialogue.requests() == 1);
    CHECK(!dialogue.wants_another_connection());
}

TEST_CASE("a proxy that does not offer the requested authentication has an error of its own") {
    proxy::ConnectRequest request = request_to("origin.test");
    request.has_credentials = true;
    request.user = "user";
    request.password = "right";
    const auto ended_with = [&](const std::string& offer) {
        proxy::ConnectDialogue dialogue(request);
        std::string output;
        REQUIRE(!dialogue.begin(output));
        return dialogue
            .consume("HTTP/1.1 407 Who\r\n" + offer + "Content-Length: 0\r\n\r\n", output)
            .error;
    };
    const std::string digest = "Proxy-Authenticate: Digest realm=r, nonce=n\r\n";
    const std::string basic = "Proxy-Authenticate: Basic realm=r\r\n";
    CHECK(ended_with(digest) == ProxyErrc::other_authentication);
    CHECK(ended_with(digest + basic) == ProxyErrc::credentials_refused);
    CHECK(ended_with("") == ProxyErrc::credentials_refused);
    CHECK(ended_with("Proxy-Authenticate: Negotiate\r\n") == ProxyErrc::authentication_required);
    CHECK(uaio::strerror(ProxyErrc::other_authentication).find("only Digest") != std::string::npos);
}

TEST_CASE("a Basic challenge is answered if the proxy offers only Basic (53)") {
    proxy::ConnectRequest request = request_to("origin.test");
    request.has_credentials = true;
    request.user = "u";
    request.password = "p";
    request.authentication = ProxyAuthentication::any;
    const std::string with_basic =
        "CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\nProxy-Authorization: Basic "
        "dTpw\r\nProxy-Connection: Keep-Alive\r\n\r\n";
    const std::string challenge = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"r\"\r\n";
    const std::string granted = "HTTP/1.1 200 OK\r\n\r\nearly";
    const DialogueResult early{{}, "early"};
    for (const char* content :
         {"Content-Length: 5\r\n\r\nhello", "Content-Length: 0\r\n\r\n",
          "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\nT: r\r\n\r\n"}) {
        CHECK(connect(request, {{kRequest, challenge + content}, {with_basic, granted}}) == early);
    }
    CHECK(connect(request, {{kRequest, challenge + "Transfer-Encoding: chunked\r\n\r\nx"}}).error ==
          ProxyErrc::bad_reply);
    CHECK(connect(request, {{kRequest, challenge + "Content-Length: 0\r\n\r\n"},
                            {with_basic, challenge + "Content-Length: 0\r\n\r\n"}})
              .error == ProxyErrc::credentials_refused);
    CHECK(connect(request, {{kRequest,
                             "HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n"
                             "Content-Length: 0\r\n\r\n"}})
              .error == ProxyErrc::authentication_required);
}

TEST_CASE("the credentials are sent on another connection if the proxy closes after its 407 (53)") {
    proxy::ConnectRequest request = request_to("origin.test");
    request.has_credentials = true;
    request.user = "u";
    request.authentication = ProxyAuthentication::any;
    const std::string challenge = "\r\nProxy-Authenticate: Basic realm=r\r\n";
    for (const std::string& answer :
         {"HTTP/1.1 407 Who" + challenge + "Connection: close\r\nContent-Length: 5\r\n\r\n",
          "HTTP/1.1 407 Who" + challenge + "Proxy-Connection: close\r\n\r\n",
          "HTTP/1.0 407 Who" + challenge + "Content-Length: 5\r\n\r\n",
          "HTTP/1.1 407 Who" + challenge + "\r\n"}) {
        proxy::ConnectDialogue dialogue(request);
        std::string output;
        REQUIRE(!dialogue.begin(output));
        CHECK(dialogue.consume(answer, output).state == proxy::Progress::State::failed);
        REQUIRE(dialogue.wants_another_connection());
        output.clear();
        REQUIRE(!dialogue.begin(output));
        CHECK(output.find("Proxy-Authorization: Basic dTo=\r\n") != output.npos);
        // Closed before the answer: retried once. Then never again.
        CHECK(dialogue.wants_another_connection());
        REQUIRE(!dialogue.begin(output));
        CHECK(!dialogue.wants_another_connection());
        CHECK(dialogue.requests() == 3);
    }
}

TEST_CASE("an invalid target, field or credential of a CONNECT request is refused") {
    const auto refused = [](const proxy::ConnectRequest& request) {
        return connect(request, {}).error;
    };
    CHECK(refused(request_to("")) == ArgumentErrc::invalid_url);
    CHECK(refused(request_to("a b")) == ArgumentErrc::invalid_url);
    CHECK(refused(request_to("a\r\nX: y")) == ArgumentErrc::invalid_url);
    proxy::ConnectRequest request = request_to("origin.test");
    for (const char* field : {"no colon", ": no name", "a b: c", "A: b\r\nC: d", "A: b\n"}) {
        request.fields = {field};
        CHECK(refused(request) == ProxyErrc::bad_field);
    }
    request.fields.clear();
    request.has_credentials = true;
    for (const auto& [user, password] : std::vector<std::pair<std::string, std::string>>{
             {"a:b", ""}, {"a\n", ""}, {"a", "b\r"}, {"a", std::string(1, '\0')}}) {
        request.user = user;
        request.password = password;
        CHECK(refused(request) == ProxyErrc::bad_credentials);
    }
    request.user = "a";
    request.password = "b";
    request.authentication = ProxyAuthentication::digest;
    CHECK(refused(request) == Errc::not_supported);
}

}  // namespace uaio::proxy_connect_test
