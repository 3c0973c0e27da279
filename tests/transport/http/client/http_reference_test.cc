// RFC 3986 section 5.4: its examples, and further cases.
#include "transport/http/client/reference.h"

#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::http::http_reference_test {

std::string resolved(std::string_view base, std::string_view reference) {
    std::string out = "unspecified";
    REQUIRE(!resolve_reference(base, reference, out));
    return out;
}

TEST_CASE("references resolve as in the examples of RFC 3986 5.4") {
    const std::pair<const char*, const char*> examples[] = {
        // 5.4.1
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        // 5.4.2
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http:g"},  // strict
    };
    for (const auto& [reference, wanted] : examples) {
        CAPTURE(reference);
        CHECK(resolved("http://a/b/c/d;p?q", reference) == wanted);
    }
}

TEST_CASE("a reference resolves against a base without a path, and against a query with slashes") {
    CHECK(resolved("http://a", "g") == "http://a/g");
    CHECK(resolved("http://a", "?y") == "http://a?y");
    CHECK(resolved("http://a?x/y", "g") == "http://a/g");
    CHECK(resolved("http://a/b?x/y", "g") == "http://a/g");
    CHECK(resolved("http://a:8080/b", "//c") == "http://c");
    CHECK(resolved("https://a/b", "//c/d/../e") == "https://c/e");
    CHECK(resolved("http://a/b", "HTTPS://c/./d") == "HTTPS://c/d");
    CHECK(resolved("http://[::1]:80/b", "c:d") == "c:d");
    CHECK(resolved("http://a/b", "1c:d") == "http://a/1c:d");  // no scheme begins with a digit
    CHECK(resolved("http://a/b", "/\xc3\xa4?\xff") == "http://a/%C3%A4?%FF");
}

}  // namespace uaio::http::http_reference_test
