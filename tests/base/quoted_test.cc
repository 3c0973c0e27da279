// How messages quote a user's text.
#include "base/quoted.h"

#include <doctest/doctest.h>

namespace uaio::quoted_test {

TEST_CASE("a message quotes a file name, but only the size of a possible secret") {
    CHECK(in_quotes("/etc/ssl/private/key.pem") == "\"/etc/ssl/private/key.pem\"");
    CHECK(in_quotes("") == "\"\"");
    CHECK(in_quotes("schl\xc3\xbcssel.pem") == "\"schl\xc3\xbcssel.pem\"");
    CHECK(in_quotes("a\nb") == "(3 bytes, not quoted)");
    CHECK(in_quotes(std::string("a\0b", 3)) == "(3 bytes, not quoted)");
    CHECK(in_quotes(std::string(256, 'a')) == "(256 bytes, not quoted)");
    CHECK(in_quotes("-----BEGIN PRIVATE KEY-----MC4C") == "(31 bytes, not quoted)");
    // An Ed25519 key in PKCS #8, without its boundaries.
    CHECK(in_quotes("MC4CAQAwBQYDK2VwBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g") ==
          "(64 bytes, not quoted)");
    CHECK(in_quotes("BEGIN PRIVATE KEY MIGH") == "(22 bytes, not quoted)");
    CHECK(in_quotes(std::string(32, 'a') + std::string(32, '0')) == "(64 bytes, not quoted)");
    CHECK(in_quotes("c2VjcmV0IHBhc3N3b3JkIGZvciB5b3U") == "(31 bytes, not quoted)");
    CHECK(in_quotes("/srv/Certificates2026/TheServersOwn") ==
          "\"/srv/Certificates2026/TheServersOwn\"");
    CHECK(in_quotes("certificate-of-the-server-2026") == "\"certificate-of-the-server-2026\"");
    CHECK(in_quotes("Certificate-Of-The-Server-2026.pem") ==
          "\"Certificate-Of-The-Server-2026.pem\"");
}

TEST_CASE("a message quotes a URL without its user information, query and fragment") {
    CHECK(quoted_url("http://host:80/path") == "\"http://host:80/path\"");
    CHECK(quoted_url("http://user:secret@host/path") == "\"http://...@host/path\"");
    CHECK(quoted_url("http://host/path?token=secret") == "\"http://host/path?...\"");
    CHECK(quoted_url("http://host/path#secret") == "\"http://host/path#...\"");
    CHECK(quoted_url("user:secret@host") == "\"...@host\"");
    CHECK(quoted_url("http://user:s@c/r?t@host/") == "\"http://...\"");
    CHECK(quoted_url("http://user:s@cret@host?x=1") == "\"http://...@host?...\"");
    CHECK(quoted_url("http://host/?mail=a@b&token=secret") == "\"http://...\"");
    CHECK(quoted_url("http://host/\nsecret") == "(19 bytes, not quoted)");
}

}  // namespace uaio::quoted_test
