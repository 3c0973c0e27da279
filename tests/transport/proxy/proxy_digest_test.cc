// Digest authentication with a transparent hash, which shows its input. proxy_connect_test.cc tests
// the rest of CONNECT.
#include <uaio/config.h>

#include "tests/support/kernels.h"
#include "tests/support/run_dialogue.h"
#include "transport/proxy/connect.h"
#include "transport/tls/hash.h"

#include <doctest/doctest.h>

namespace uaio::proxy_digest_test {

std::string open_hash(std::string_view algorithm, std::string_view text) {
    return std::string(algorithm == "MD5" ? "m(" : "s(") + std::string(text) + ")";
}

std::vector<proxy::Challenge> parse(const std::vector<std::string>& fields) {
    return proxy::parse_challenges(fields);
}

TEST_CASE("challenges are parsed, several in one field and one a field") {
    const auto challenges =
        parse({"Digest realm=\"a, \\\"b\\\"\", nonce=\"n=1\",qop=\"auth, auth-int\" , opaque=\"\", "
               "algorithm=SHA-256, stale=TRUE, Basic realm=\"r\", Negotiate",
               "digest nonce=x", "NTLM TlRMTVNTUAAC=="});
    REQUIRE(challenges.size() == 5);
    const proxy::Challenge& first = challenges[0];
    CHECK((first.scheme == "Digest" && first.realm == "a, \"b\"" && first.nonce == "n=1"));
    CHECK((first.has_qop && first.has_qop_auth && first.has_opaque && first.opaque.empty()));
    CHECK((first.algorithm == "SHA-256" && first.stale));
    CHECK((challenges[1].scheme == "Basic" && challenges[1].realm == "r"));
    CHECK(challenges[2].scheme == "Negotiate");
    CHECK((challenges[3].nonce == "x" && challenges[3].algorithm == "MD5"));
    CHECK((!challenges[3].has_qop && !challenges[3].stale));
    CHECK(challenges[4].scheme == "NTLM");
    CHECK(parse({"", ",,", "realm=x"}).empty());
}

TEST_CASE("strength_of() ranks the challenges that can be answered") {
    const auto strength = [](const char* field, proxy::Hash hash = &open_hash) {
        return proxy::strength_of(parse({field}).at(0), hash);
    };
    CHECK(strength("Digest nonce=n, algorithm=SHA-256") == 3);
    CHECK(strength("Digest nonce=n, algorithm=sha-256-sess") == 3);
    CHECK(strength("Digest nonce=n, algorithm=MD5-sess") == 2);
    CHECK(strength("Digest nonce=n") == 2);
    CHECK(strength("Basic") == 1);
    CHECK(strength("Digest realm=r") == 0);
    CHECK(strength("Digest nonce=n, algorithm=SHA-512-256") == 0);
    CHECK(strength("Digest nonce=n, qop=auth-int") == 0);
    CHECK(strength("Digest nonce=n", nullptr) == 0);
    CHECK(strength("Negotiate") == 0);
    const proxy::Hash none = [](std::string_view, std::string_view) { return std::string(); };
    CHECK(strength("Digest nonce=n", none) == 0);
}

proxy::ConnectRequest request() {
    proxy::ConnectRequest request;
    request.host = "o.test";
    request.port = 80;
    request.has_credentials = true;
    request.user = "u\"";
    request.password = "p";
    request.authentication = ProxyAuthentication::digest;
    request.hash = &open_hash;
    request.client_nonce = "c";
    return request;
}

std::string asking(const std::string& authorization) {
    return "CONNECT o.test:80 HTTP/1.1\r\nHost: o.test:80\r\n" +
           (authorization.empty() ? "" : "Proxy-Authorization: " + authorization + "\r\n") +
           "Proxy-Connection: Keep-Alive\r\n\r\n";
}

DialogueStep challenged(const std::string& after, const std::string& with) {
    return {asking(after),
            "HTTP/1.1 407 Who\r\nProxy-Authenticate: " + with + "\r\nContent-Length: 2\r\n\r\nno"};
}

DialogueResult run_digest(const std::vector<DialogueStep>& script,
                          const proxy::ConnectRequest& with = request()) {
    return run_dialogue([&] { return std::make_unique<proxy::ConnectDialogue>(with); }, script);
}

TEST_CASE("a Digest challenge is answered by RFC 7616") {
    const std::string granted = "HTTP/1.1 200 OK\r\n\r\n";
    const std::string front =
        "Digest username=\"u\\\"\", realm=\"r\", nonce=\"n\", uri=\"o.test:80\"";
    CHECK(run_digest({challenged("", "Digest realm=r, nonce=n, qop=\"auth\", opaque=o"),
                      {asking(front + ", cnonce=\"c\", nc=00000001, qop=auth, response=\"m(m(u\\\":"
                                      "r:p):n:00000001:c:auth:m(CONNECT:o.test:80))\", "
                                      "algorithm=MD5, opaque=\"o\""),
                       granted}}) == DialogueResult{});
    // Without a qop, as in RFC 2069.
    CHECK(run_digest({challenged("", "Digest realm=r, nonce=n, algorithm=SHA-256"),
                      {asking(front + ", response=\"s(s(u\\\":r:p):n:s(CONNECT:o.test:80))\", "
                                      "algorithm=SHA-256"),
                       granted}}) == DialogueResult{});
    CHECK(run_digest(
              {challenged("", "Digest realm=r, nonce=n, qop=auth, algorithm=MD5-sess"),
               {asking(front + ", cnonce=\"c\", nc=00000001, qop=auth, response=\"m(m(m(u\\\":r:p):"
                               "n:c):n:00000001:c:auth:m(CONNECT:o.test:80))\", "
                               "algorithm=MD5-sess"),
                granted}}) == DialogueResult{});
}

TEST_CASE(
    "a challenge with a stale nonce is answered again, and one after a wrong password is not") {
    const auto answer = [](const std::string& nonce) {
        return "Digest username=\"u\\\"\", realm=\"r\", nonce=\"" + nonce +
               "\", uri=\"o.test:80\", response=\"m(m(u\\\":r:p):" + nonce +
               ":m(CONNECT:o.test:80))\", algorithm=MD5";
    };
    const DialogueStep first = challenged("", "Digest realm=r, nonce=n");
    CHECK(run_digest({first,
                      challenged(answer("n"), "Digest realm=r, nonce=m, stale=true"),
                      {asking(answer("m")), "HTTP/1.1 200 OK\r\n\r\n"}}) == DialogueResult{});
    CHECK(run_digest({first, challenged(answer("n"), "Digest realm=r, nonce=m")}).error ==
          ProxyErrc::credentials_refused);
    CHECK(run_digest({first, challenged(answer("n"), "Digest realm=r, nonce=m, stale=true"),
                      challenged(answer("m"), "Digest realm=r, nonce=o, stale=true")})
              .error == ProxyErrc::credentials_refused);
}

TEST_CASE("the strongest challenge is chosen, and Basic only if the options allow any") {
    const DialogueStep first = challenged("", "Basic realm=r, Digest realm=r, nonce=n");
    CHECK(run_digest({challenged("", "Basic realm=r")}).error == ProxyErrc::other_authentication);
    proxy::ConnectRequest any = request();
    any.authentication = ProxyAuthentication::any;
    any.hash = nullptr;
    CHECK(run_digest({first, {asking("Basic dSI6cA=="), "HTTP/1.1 200 OK\r\n\r\n"}}, any) ==
          DialogueResult{});
}

TEST_CASE("a build without TLS has no Digest") {
    if (kTls) return report_skip("the build option tls is on");
    CHECK(tls::hash_text("MD5", "abc").empty());
    CHECK(proxy::strength_of(parse({"Digest nonce=n"}).at(0), &tls::hash_text) == 0);
}

}  // namespace uaio::proxy_digest_test
