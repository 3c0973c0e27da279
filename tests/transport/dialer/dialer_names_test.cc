// The rules that override names, and the order of attempts on addresses.
#include <uaio/argument_error.h>

#include "transport/dialer/names.h"
#include "transport/dialer/plan.h"
#include "transport/dialer/race.h"

#include <cstdlib>
#include <ostream>

#include <doctest/doctest.h>

namespace uaio::dialer_names_test {

Endpoint at(const char* text) {
    Endpoint endpoint;
    REQUIRE(!Endpoint::parse(text, endpoint));
    return endpoint;
}

TEST_CASE("a resolve rule replaces a lookup by addresses") {
    AddressRules rules;
    REQUIRE(!rules.add("origin.test:80:127.0.0.1,[::1],::2"));
    REQUIRE(!rules.add("*:80:127.0.0.9"));
    REQUIRE(!rules.add("[2001:db8::1]:81:127.0.0.1"));
    const std::vector<Endpoint> three = {at("127.0.0.1:80"), at("[::1]:80"), at("[::2]:80")};
    CHECK(rules.find("Origin.Test.", 80, true) == three);
    CHECK(rules.find("other", 80, true) == std::vector<Endpoint>{at("127.0.0.9:80")});
    CHECK(rules.find("2001:db8::1", 81, true) == std::vector<Endpoint>{at("127.0.0.1:81")});
    CHECK(!rules.find("origin.test", 81, true));
    REQUIRE(!rules.add("origin.test:80:127.0.0.2"));
    CHECK(rules.find("origin.test", 80, true) == std::vector<Endpoint>{at("127.0.0.2:80")});
    REQUIRE(!rules.add("-origin.test:80"));
    CHECK(rules.find("origin.test", 80, true) == std::vector<Endpoint>{at("127.0.0.9:80")});
    REQUIRE(!rules.add("-*:80"));
    CHECK(!rules.find("origin.test", 80, true));
}

TEST_CASE("a resolve rule with a plus expires after a minute") {
    AddressRules rules;
    REQUIRE(!rules.add("+origin.test:80:127.0.0.1"));
    CHECK(rules.find("origin.test", 80, true));
    CHECK(!rules.find("origin.test", 80, false));
    const DialPlan plan("http://origin.test", {.proxy = ""});
    CHECK(plan.rules_are_fresh(1000));
    CHECK(plan.rules_are_fresh(1000 + 59'999'999'999));
    CHECK(!plan.rules_are_fresh(1000 + 60'000'000'000));
}

TEST_CASE("a malformed resolve rule is refused") {
    AddressRules addresses;
    for (const char* rule :
         {"", "a", "a:80", ":80:127.0.0.1", "a:0:127.0.0.1", "a:x:127.0.0.1", "a:80:", "a:80:b",
          "a:80:127.0.0.1,", "-a:80:127.0.0.1", "-a", "[::1:80:127.0.0.1", "a:65536:127.0.0.1"}) {
        CHECK(addresses.add(rule) == ResolveErrc::bad_rule);
    }
    PlaceRules places;
    for (const char* rule : {"", "a", "a:80", "a:80:b", "a:80:b:c", "a:0:b:1", "a:80:b:81:c"}) {
        CHECK(places.add(rule) == ResolveErrc::bad_rule);
    }
}

TEST_CASE("a connect-to rule changes the host and the port") {
    PlaceRules rules;
    REQUIRE(!rules.add("origin.test:80:127.0.0.1:8080"));
    REQUIRE(!rules.add("origin.test::[::1]:"));
    REQUIRE(!rules.add("::other.test:"));
    const auto applied = [&](const char* host, std::uint16_t port) {
        HostAndPort place{host, port};
        CHECK(rules.apply(place));
        return place.host + " " + std::to_string(place.port);
    };
    CHECK(applied("origin.test", 80) == "127.0.0.1 8080");
    CHECK(applied("origin.test", 81) == "::1 81");
    CHECK(applied("x", 5) == "other.test 5");
    HostAndPort place{"a", 1};
    CHECK(!PlaceRules().apply(place));
    CHECK(place.host == "a");
}

TEST_CASE("a target is a URL, or a host with an optional port") {
    const auto read = [](const char* target) {
        const DialPlan plan(target, {.proxy = ""});
        return plan.refused ? plan.refused.message()
                            : plan.target.host + " " + std::to_string(plan.target.port) +
                                  (plan.secure ? " secure" : "");
    };
    CHECK(read("http://a") == "a 80");
    CHECK(read("https://a/path?query#fragment") == "a 443 secure");
    CHECK(read("wss://a:1") == "a 1 secure");
    CHECK(read("TCP://[::1]:7") == "::1 7");
    CHECK(read("tls://a:853/") == "a 853 secure");
    CHECK(read("a") == "a 80");
    CHECK(read("a:81") == "a 81");
    for (const char* bad : {"", "tcp://a", "tls://[::1]", "tcp://a:", "foo://a", "http://",
                            "http://u:p@a", "http://a:99999", "http://a:0", "a b"}) {
        CHECK(read(bad) == "invalid URL");
    }
}

TEST_CASE("a DialPlan chooses the proxies and refuses invalid options") {
    const auto kinds = [](const DialOptions& options) {
        const DialPlan plan("http://origin.test", options);
        REQUIRE(!plan.refused);
        return std::pair(plan.pre_proxy.kind, plan.proxy.kind);
    };
    const auto none = ProxyKind::none;
    CHECK(kinds({.proxy = ""}) == std::pair(none, none));
    CHECK(kinds({.proxy = "p:1", .no_proxy = ""}) == std::pair(none, ProxyKind::http));
    CHECK(kinds({.proxy = "p:1", .no_proxy = "test"}) == std::pair(none, none));
    CHECK(kinds({.proxy = "", .pre_proxy = "socks5://p"}) == std::pair(none, ProxyKind::socks5));
    CHECK(kinds({.proxy = "p:1", .pre_proxy = "socks5://p"}) ==
          std::pair(ProxyKind::socks5, ProxyKind::http));
    CHECK(kinds({.unix_path = "/a", .proxy = "p:1"}) == std::pair(none, none));
    const auto refused = [](const DialOptions& options) {
        return DialPlan("http://origin.test", options).refused;
    };
    CHECK(refused({.proxy = "foo://p"}) == ProxyErrc::unsupported_scheme);
    CHECK(refused({.proxy = "", .pre_proxy = "http://p"}) == ProxyErrc::unsupported_scheme);
    CHECK(refused({.proxy = "socks5://localhost/a", .pre_proxy = "socks5://p"}) ==
          ProxyErrc::bad_url);
    CHECK(refused({.resolve = {"x"}}) == ResolveErrc::bad_rule);
    CHECK(refused({.connect_to = {"x"}}) == ResolveErrc::bad_rule);
    CHECK(refused({.local_address = "eth0"}) == ArgumentErrc::invalid_endpoint);
}

TEST_CASE("addresses alternate between the families, IPv6 first") {
    const auto sorted = [](std::vector<Endpoint> addresses) {
        sort_for_race(addresses);
        std::string text;
        for (const Endpoint& address : addresses)
            text += address.host() + " ";
        return text;
    };
    const Endpoint a = at("127.0.0.1:1"), b = at("127.0.0.2:1"), c = at("127.0.0.3:1");
    const Endpoint x = at("[::1]:1"), y = at("[::2]:1");
    CHECK(sorted({}) == "");
    CHECK(sorted({a, b, c, x, y}) == "::1 127.0.0.1 ::2 127.0.0.2 127.0.0.3 ");
    CHECK(sorted({x, y, a}) == "::1 127.0.0.1 ::2 ");
    CHECK(sorted({x, y}) == "::1 ::2 ");
    CHECK(sorted({b, a}) == "127.0.0.2 127.0.0.1 ");
}

}  // namespace uaio::dialer_names_test
