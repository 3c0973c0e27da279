#include <uaio/argument_error.h>
#include <uaio/error.h>

#include "transport/http/format/target.h"

#include <ostream>

#include <doctest/doctest.h>

namespace uaio::http::http_target_test {

bool goes(std::string_view method, std::string_view target) {
    Target parts;
    return split_target(method, target, parts);
}

TEST_CASE("a target has a form that its method allows (L16)") {
    CHECK(goes("GET", "/"));
    CHECK(goes("GET", "http://a/"));
    CHECK(goes("OPTIONS", "*"));
    CHECK(goes("OPTIONS", "/"));
    CHECK(goes("CONNECT", "h:1"));
    CHECK(goes("CONNECT", "[::1]:443"));
    CHECK(!goes("GET", "*"));
    CHECK(!goes("GET", "h:1"));
    CHECK(!goes("GET", "a"));
    CHECK(!goes("options", "*"));
    CHECK(!goes("CONNECT", "/"));
    CHECK(!goes("CONNECT", "h"));
    CHECK(!goes("CONNECT", "h:"));
    CHECK(!goes("CONNECT", ":1"));
    CHECK(!goes("CONNECT", "h:65536"));
    CHECK(!goes("CONNECT", "h:1/"));
    CHECK(!goes("CONNECT", "u@h:1"));
    CHECK(!goes("CONNECT", "http://h:1/"));
}

TEST_CASE("a target is split into host, path and query") {
    Target parts;
    REQUIRE(split_target("GET", "/a/b?c=d?e", parts));
    CHECK(parts.form == TargetForm::origin);
    CHECK(parts.path == "/a/b");
    CHECK(parts.query == "c=d?e");
    REQUIRE(split_target("GET", "http://[::1]:8080?x", parts));
    CHECK(parts.form == TargetForm::absolute);
    CHECK(parts.host == "[::1]:8080");
    CHECK(parts.path == "/");
    CHECK(parts.query == "x");
    REQUIRE(split_target("GET", "HTTPS://example.org/p", parts));
    CHECK(parts.host == "example.org");
    CHECK(parts.path == "/p");
    REQUIRE(split_target("OPTIONS", "*", parts));
    CHECK(parts.form == TargetForm::asterisk);
    REQUIRE(split_target("CONNECT", "h:1", parts));
    CHECK(parts.form == TargetForm::authority);
    CHECK(parts.host == "h:1");
    CHECK(parts.path.empty());
}

TEST_CASE("a target with a character that must be percent-encoded is refused") {
    for (const std::string_view target :
         {"", "/a b", "/a#b", "/\x7f", "/\xc3\xa4", "/\t", "http://", "http:///a", "http://u@h/",
          "http://h:x/", "http://a b/", "1http://a/", "http:/a", "://a/", "http://a%2/"}) {
        CAPTURE(target);
        CHECK(!goes("GET", target));
    }
    CHECK(goes("GET", "/a|b{c}[d]^`\\\"<>%zz"));  // browsers send these
}

// clang-format off
constexpr std::string_view kHosts[] = {
    "a", "a.b", "a:1", "a:", "127.0.0.1:80", "[::1]", "[::1]:65535", "[1:2::3.4.5.6]", "a_b",
    "%41", "a,b", "[v1.x:y]", "[1:2:3:4:5:6:7:8]", "[::]", "[1::]", "[::8]", "[1:2:3:4:5:6:7::]",
    "[::2:3:4:5:6:7:8]", "[1::3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[1:2:3:4:5:6:255.0.10.1]",
    "[ABCD::ef01]", "[vF.~]",
};
constexpr std::string_view kNoHosts[] = {
    "", " ", "a b", "a/b", "a@b", "a:b", "a:1:2", "a:65536", "a:100000", "a:-1", ":80", "[", "[]",
    "[::1", "::1", "[::1]x", "[::1]:x", "[g::]", "[1]", "a%4", "a%", "a%zz", "\xe4", "a\"b",
    "a<b", "a\\b", "a?b", "[v]", "[1:2]", "[:::]", "[1::2::3]", "[v1]", "[v1.]", "[v.x]",
    "[vg.x]", "[::1.2.3.400]", "[::1.2.3]", "[::1.2.3.04]", "[::1.2.3.4.5]", "[1.2.3.4::]",
    "[::1.2.3.4:5]", "[12345::]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7::8]",
    "[1:2:3:4:5:6:7:1.2.3.4]", "[:1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:]", "[::1%25eth0]", "[v1.%41]",
    "[1.2.3.4]",
};
// clang-format on

TEST_CASE("a host is a name or an address with an optional port (L3)") {
    for (const std::string_view host : kHosts) {
        CAPTURE(host);
        CHECK(is_host(host));
    }
    for (const std::string_view host : kNoHosts) {
        CAPTURE(host);
        CHECK(!is_host(host));
    }
}

TEST_CASE("a URL is split into host, port, Host and target") {
    Url url;
    REQUIRE(!parse_url("http://example.org", url));
    CHECK(!url.secure);
    CHECK(url.host == "example.org");
    CHECK(url.port == 80);
    CHECK(url.authority == "example.org");
    CHECK(url.target.empty());
    REQUIRE(!parse_url("HTTPS://[::1]:8443/a?b#c", url));
    CHECK(url.secure);
    CHECK(url.host == "::1");
    CHECK(url.port == 8443);
    CHECK(url.authority == "[::1]:8443");
    CHECK(url.target == "/a?b");
    REQUIRE(!parse_url("wss://h:443?x", url));
    CHECK(url.authority == "h");
    CHECK(url.target == "?x");
    REQUIRE(!parse_url("ws://h:/", url));
    CHECK(url.port == 80);
    CHECK(url.authority == "h");
    for (const std::string_view bad :
         {"", "http", "http:", "http://", "ftp://h/", "h/", "//h/", "http://u:p@h/", "http://h:0/",
          "http://h:70000/", "http://h/a b", "http://h/\r\nX: y", "http://h\r\n/", "http://h/\xe4",
          "http://#", "http://h\\@x/"}) {
        CAPTURE(bad);
        CHECK(parse_url(bad, url) == ArgumentErrc::invalid_url);
    }
}

TEST_CASE("percent signs are decoded once") {
    std::string out = "before";
    CHECK(!percent_decode("a%20b%2Fc%2fd%00", out));
    CHECK(out == std::string("a b/c/d\0", 8));
    CHECK(!percent_decode("%252e", out));
    CHECK(out == "%2e");
    for (const std::string_view bad : {"%", "%4", "a%4", "%zz", "%4g", "%%41"}) {
        CAPTURE(bad);
        CHECK(percent_decode(bad, out) == Errc::invalid_argument);
        CHECK(out.empty());
    }
}

std::string normal(std::string_view path) {
    std::string out;
    return normalise_path(path, out) ? "refused" : out;
}

TEST_CASE("a path is decoded once and its dot segments are removed") {
    CHECK(normal("") == "/");
    CHECK(normal("/") == "/");
    CHECK(normal("/a/b") == "/a/b");
    CHECK(normal("/a/b/") == "/a/b/");
    CHECK(normal("//a///b") == "/a/b");
    CHECK(normal("/a/./b/.") == "/a/b/");
    CHECK(normal("/a/../b") == "/b");
    CHECK(normal("/a/b/..") == "/a/");
    CHECK(normal("/a/..") == "/");
    CHECK(normal("/%61%2Etxt") == "/a.txt");
    CHECK(normal("/...") == "/...");
    CHECK(normal("/a/%252e%252e/b") == "/a/%2e%2e/b");
    CHECK(normal("/a b") == "/a b");
    CHECK(normal("/a%2fb/../c%2Fd") == "/c%2Fd");  // a slash in a segment separates nothing
    CHECK(normal("/a%2f..") == "/a%2F..");
    CHECK(normal("/..%2fa") == "/..%2Fa");
    CHECK(has_encoded_slash("/%20%2a%2Fb"));
    CHECK(has_encoded_slash("/%2f"));
    CHECK(!has_encoded_slash("/%252F%2"));
}

TEST_CASE("no path escapes the root") {
    for (const std::string_view path :
         {"/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e", "/%2E./a", "/.%2e/", "/./..", "//..",
          "/a/%2e%2e/%2e%2e/b", "/a%2f../../..", "/a%00", "/%", "/%4"}) {
        CAPTURE(path);
        CHECK(normal(path) == "refused");
    }
}

}  // namespace uaio::http::http_target_test
