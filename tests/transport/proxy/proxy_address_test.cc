// Proxy URLs, the environment's choice of a proxy and its exceptions, and the header for servers
// behind a proxy.
#include <uaio/proxy.h>

#include "transport/proxy/header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <map>
#include <ostream>

#include <doctest/doctest.h>

namespace uaio::proxy_address_test {

using namespace std::string_literals;

Proxy proxy_of(std::string_view text) {
    Proxy proxy;
    CHECK(!parse_proxy(text, proxy));
    return proxy;
}

TEST_CASE("the URL of a proxy is split into its parts (55)") {
    struct Row {
        const char* text;
        ProxyKind kind;
        const char* host;
        std::uint16_t port;
    };
    for (const Row& row : std::initializer_list<Row>{
             {"proxy.test", ProxyKind::http, "proxy.test", 1080},
             {"proxy.test:3128", ProxyKind::http, "proxy.test", 3128},
             {"proxy.test:", ProxyKind::http, "proxy.test", 1080},
             {"http://proxy.test", ProxyKind::http, "proxy.test", 1080},
             {"HTTPS://proxy.test", ProxyKind::https, "proxy.test", 443},
             {"https://proxy.test:8443/", ProxyKind::https, "proxy.test", 8443},
             {"socks://127.0.0.1", ProxyKind::socks4, "127.0.0.1", 1080},
             {"socks4://127.0.0.1:1", ProxyKind::socks4, "127.0.0.1", 1},
             {"socks4a://127.0.0.1", ProxyKind::socks4a, "127.0.0.1", 1080},
             {"socks5://[::1]:9050", ProxyKind::socks5, "::1", 9050},
             {"socks5h://[::1]", ProxyKind::socks5h, "::1", 1080},
             {"http://proxy.test:65535/path?query", ProxyKind::http, "proxy.test", 65535}}) {
        const Proxy proxy = proxy_of(row.text);
        CHECK(proxy.kind == row.kind);
        CHECK(proxy.host == row.host);
        CHECK(proxy.port == row.port);
        CHECK((!proxy.has_credentials && proxy.path.empty()));
    }
    CHECK(proxy_of("").kind == ProxyKind::none);
}

TEST_CASE("user and password in the URL of a proxy are percent-decoded") {
    Proxy proxy = proxy_of("socks5://us%40er:p%3Aa%2fs%25s@host:1");
    CHECK((proxy.has_credentials && proxy.user == "us@er" && proxy.password == "p:a/s%s"));
    proxy = proxy_of("user@host");
    CHECK((proxy.has_credentials && proxy.user == "user" && proxy.password.empty()));
    proxy = proxy_of(":@host");
    CHECK((proxy.has_credentials && proxy.user.empty() && proxy.password.empty()));
    proxy = proxy_of("a:b:c@host");
    CHECK((proxy.user == "a" && proxy.password == "b:c"));
}

TEST_CASE("the URL of a SOCKS proxy may name a unix socket (65)") {
    Proxy proxy = proxy_of("socks5h://localhost/run/a%20b.sock");
    CHECK((proxy.kind == ProxyKind::socks5h && proxy.path == "/run/a b.sock"));
    CHECK(proxy_of("http://localhost/run/a.sock").path.empty());
    CHECK(proxy_of("socks5h://other/run/a.sock").path.empty());
    CHECK(proxy_of("socks5h://localhost/").path.empty());
}

TEST_CASE("a malformed URL of a proxy is refused (55)") {
    Proxy proxy;
    proxy.host = "untouched";
    CHECK(parse_proxy("foo://host", proxy) == ProxyErrc::unsupported_scheme);
    CHECK(parse_proxy("://host", proxy) == ProxyErrc::unsupported_scheme);
    for (const char* text : {"http://", "http://:80", "host:65536", "host:0", "host:8a", "[::1",
                             "http://a b", "u%4@host", "[x]:1", "socks5h://localhost/%zz"}) {
        CHECK(parse_proxy(text, proxy) == ProxyErrc::bad_url);
    }
    CHECK(proxy.host == "untouched");
}

TEST_CASE("the environment names a proxy for a scheme (68)") {
    using Variables = std::map<std::string, std::string>;
    const auto found = [](const char* scheme, const Variables& variables) {
        return proxy_from_environment(scheme, [&](const char* name) -> const char* {
            const auto at = variables.find(name);
            return at == variables.end() ? nullptr : at->second.c_str();
        });
    };
    CHECK(found("http", {{"http_proxy", "a"}, {"all_proxy", "b"}}) == "a");
    CHECK(found("http", {{"HTTP_PROXY", "a"}}) == "");  // a CGI client's field "Proxy:"
    CHECK(found("http", {{"https_proxy", "a"}}) == "");
    CHECK(found("https", {{"https_proxy", "a"}, {"HTTPS_PROXY", "b"}}) == "a");
    CHECK(found("https", {{"HTTPS_PROXY", "b"}}) == "b");
    CHECK(found("HTTPS", {{"https_proxy", "a"}}) == "a");
    CHECK(found("https", {{"http_proxy", "a"}}) == "");
    CHECK(found("http", {{"all_proxy", "a"}, {"ALL_PROXY", "b"}}) == "a");
    CHECK(found("http", {{"ALL_PROXY", "b"}, {"http_proxy", ""}}) == "b");
    CHECK(found("tcp", {{"TCP_PROXY", "t"}}) == "t");
    // WebSocket uses HTTP's proxy, unless it has its own.
    CHECK(found("ws", {{"http_proxy", "a"}, {"all_proxy", "b"}}) == "a");
    CHECK(found("ws", {{"HTTP_PROXY", "a"}}) == "");
    CHECK(found("ws", {{"https_proxy", "a"}}) == "");
    CHECK(found("ws", {{"WS_PROXY", "w"}, {"http_proxy", "a"}}) == "w");
    CHECK(found("WSS", {{"https_proxy", "a"}, {"http_proxy", "b"}}) == "a");
    CHECK(found("wss", {{"HTTPS_PROXY", "a"}}) == "a");
    CHECK(found("wss", {{"http_proxy", "a"}}) == "");
    CHECK(found("wss", {{"wss_proxy", "w"}, {"https_proxy", "a"}}) == "w");
    CHECK(found("wss", {{"ALL_PROXY", "b"}}) == "b");
    const auto excepted = [](const Variables& variables) {
        return no_proxy_from_environment([&](const char* name) -> const char* {
            const auto at = variables.find(name);
            return at == variables.end() ? nullptr : at->second.c_str();
        });
    };
    CHECK(excepted({{"no_proxy", "a"}, {"NO_PROXY", "b"}}) == "a");
    CHECK(excepted({{"NO_PROXY", "b"}}) == "b");
    CHECK(excepted({}) == "");
}

TEST_CASE("NO_PROXY excludes names and their subdomains (68)") {
    CHECK(bypasses_proxy("example.com", "example.com"));
    CHECK(bypasses_proxy("example.com", "www.example.com"));
    CHECK(bypasses_proxy(".example.com", "example.com"));
    CHECK(bypasses_proxy("example.com.", "EXAMPLE.com"));
    CHECK(bypasses_proxy("example.com", "example.com."));
    CHECK(bypasses_proxy("a, b,example.com", "example.com"));
    CHECK(bypasses_proxy("a b\texample.com", "example.com"));
    CHECK(bypasses_proxy("*", "anything"));
    CHECK(bypasses_proxy(" * ", "127.0.0.1"));
    CHECK(!bypasses_proxy("", "example.com"));
    CHECK(!bypasses_proxy(",. ,", "example.com"));
    CHECK(!bypasses_proxy("example.com", "badexample.com"));
    CHECK(!bypasses_proxy("www.example.com", "example.com"));
    CHECK(!bypasses_proxy("*.example.com", "www.example.com"));
    CHECK(!bypasses_proxy("a,*", "example.com"));
    CHECK(!bypasses_proxy("example.com:80", "example.com"));
}

TEST_CASE("NO_PROXY excludes addresses and networks (68)") {
    CHECK(bypasses_proxy("192.168.0.1", "192.168.0.1"));
    CHECK(bypasses_proxy("10.0.0.0/8", "10.1.2.3"));
    CHECK(bypasses_proxy("192.168.0.128/25", "192.168.0.200"));
    CHECK(bypasses_proxy("0.0.0.0/0", "1.2.3.4"));
    CHECK(bypasses_proxy("192.168.0.1/32", "192.168.0.1"));
    CHECK(bypasses_proxy("::1", "[::1]"));
    CHECK(bypasses_proxy("[::1]", "::1"));
    CHECK(bypasses_proxy("2001:db8::/32", "2001:db8:1::5"));
    CHECK(bypasses_proxy("2001:DB8::0:1", "2001:db8::1"));
    CHECK(!bypasses_proxy("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(!bypasses_proxy("192.168.0.128/25", "192.168.0.100"));
    CHECK(!bypasses_proxy("10.0.0.0/33", "10.0.0.0"));
    CHECK(!bypasses_proxy("10.0.0.0/", "10.0.0.0"));
    CHECK(!bypasses_proxy("10.0.0.0/x", "10.0.0.0"));
    CHECK(!bypasses_proxy("0.0.0.0/0", "::1"));
    CHECK(!bypasses_proxy("1", "127.0.0.1"));  // matches the end of a name, not of an address
}

sockaddr_storage address(int family, const char* text, std::uint16_t port) {
    sockaddr_storage storage{};
    storage.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
        ::inet_pton(family, text, &v4.sin_addr);
        v4.sin_port = htons(port);
    } else if (family == AF_INET6) {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
        ::inet_pton(family, text, &v6.sin6_addr);
        v6.sin6_port = htons(port);
    }
    return storage;
}

TEST_CASE("a PROXY header contains both addresses, in version 1 and version 2 (66)") {
    const auto v4 = address(AF_INET, "127.0.0.1", 40000);
    const auto to4 = address(AF_INET, "10.1.2.3", 80);
    CHECK(proxy::header(ProxyHeader::none, v4, to4).empty());
    CHECK(proxy::header(ProxyHeader::v1, v4, to4) == "PROXY TCP4 127.0.0.1 10.1.2.3 40000 80\r\n");
    const auto v6 = address(AF_INET6, "::1", 40000);
    const auto to6 = address(AF_INET6, "2001:db8::1", 80);
    CHECK(proxy::header(ProxyHeader::v1, v6, to6) == "PROXY TCP6 ::1 2001:db8::1 40000 80\r\n");
    const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;
    CHECK(proxy::header(ProxyHeader::v2, v4, to4) ==
          signature + "\x21\x11\0\x0c"s + "\x7f\0\0\1\x0a\1\2\3\x9c\x40\0\x50"s);
    CHECK(proxy::header(ProxyHeader::v2, v6, to6) ==
          signature + "\x21\x21\0\x24"s + std::string(15, '\0') + "\1" + "\x20\1\x0d\xb8"s +
              std::string(11, '\0') + "\1" + "\x9c\x40\0\x50"s);
}

TEST_CASE("a PROXY header without two addresses of one family contains UNKNOWN") {
    const auto v4 = address(AF_INET, "127.0.0.1", 1);
    const auto v6 = address(AF_INET6, "::1", 1);
    const auto path = address(AF_UNIX, "", 0);
    CHECK(proxy::header(ProxyHeader::v1, v4, v6) == "PROXY UNKNOWN\r\n");
    CHECK(proxy::header(ProxyHeader::v1, path, path) == "PROXY UNKNOWN\r\n");
    CHECK(proxy::header(ProxyHeader::v2, path, path) == "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s);
}

TEST_CASE("every proxy error has a name and a sentence of its own") {
    std::map<std::string, int> seen;
    for (int code = 1; code <= static_cast<int>(ProxyErrc::other_identd_user); ++code) {
        const std::error_code error(code, proxy_category());
        ++seen[error.message()];
        ++seen[strerror(error)];
        CHECK(error.message().find("unknown error") == std::string::npos);
        CHECK(strerror(error).size() > 30);
    }
    for (const auto& [text, times] : seen)
        CHECK(times == 1);
    CHECK(std::error_code(99, proxy_category()).message() == "unknown error 99");
}

}  // namespace uaio::proxy_address_test
