// The targets of redirects.
#include "transport/http/server/location.h"

#include <doctest/doctest.h>

namespace uaio::http_location_test {

using http::encode_path;
using http::encoded_rest;
using http::join_location;

TEST_CASE("a Location gets its path suffix before the query, and the query before the fragment") {
    CHECK(join_location("/new", "", "") == "/new");
    CHECK(join_location("/new", "/a/b", "x=1") == "/new/a/b?x=1");
    CHECK(join_location("/new/", "/a", "") == "/new/a");
    CHECK(join_location("/new/", "", "") == "/new/");
    CHECK(join_location("/", "/a", "") == "/a");
    CHECK(join_location("/", "/", "") == "/");
    CHECK(join_location("https://h", "/a", "x") == "https://h/a?x");
    CHECK(join_location("https://h/", "/a/", "") == "https://h/a/");
    CHECK(join_location("/n?y=2", "/a", "x=1") == "/n/a?y=2&x=1");
    CHECK(join_location("/n?", "/a", "x=1") == "/n/a?x=1");
    CHECK(join_location("/n?y&", "", "x=1") == "/n?y&x=1");
    CHECK(join_location("/n?y=2#f", "/a", "x=1") == "/n/a?y=2&x=1#f");
    CHECK(join_location("/n#f?g", "/a", "x") == "/n/a?x#f?g");
}

TEST_CASE("path_suffix() keeps the encoding of the target") {
    CHECK(encoded_rest("/old", "") == "");
    CHECK(encoded_rest("/old/", "/") == "/");
    CHECK(encoded_rest("/old/a%20b/%2f", "/a b/%2F") == "/a%20b/%2f");
    CHECK(encoded_rest("/%6Fld/a", "/a") == "/a");
    CHECK(encoded_rest("/x/../old/./a//b/../c", "/a/c") == "/a/c");
    CHECK(encoded_rest("/old/a/%2e%2E", "/") == "/");
    CHECK(encoded_rest("/old/a/.", "/a/") == "/a/");
    CHECK(encoded_rest("/a/b", "/a/b") == "/a/b");
    CHECK(encoded_rest("/", "/") == "/");
    CHECK(encoded_rest("*", "/") == "/");
    CHECK(encoded_rest("", "") == "");
}

TEST_CASE("no path of a request produces a Location of another host") {
    for (const char* raw : {"/old//evil.test/", "/old///evil.test", "/old/.//evil.test/",
                            "/old/\\evil.test", "/old/%5Cevil.test", "/old/x/..//evil.test",
                            "/old/%2F/evil.test", "/old/@evil.test", "/old/:80@evil.test"}) {
        CAPTURE(raw);
        const std::string rest = encoded_rest(raw, "/evil.test");
        for (const char* location : {"/", "/new", "https://good.test", "https://good.test/"}) {
            const std::string joined = join_location(location, rest, "");
            const bool stays = joined.starts_with("https://good.test/") ||
                               (joined.starts_with('/') && !joined.starts_with("//"));
            CHECK(stays);
            CHECK(joined.find('\\') == std::string::npos);
        }
    }
    CHECK(encode_path("/a\r\nb\\c?d#e%f\xff\"") == "/a%0D%0Ab%5Cc%3Fd%23e%25f%FF%22");
}

}  // namespace uaio::http_location_test
