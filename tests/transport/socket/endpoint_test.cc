#include <uaio/argument_error.h>
#include <uaio/endpoint.h>
#include <uaio/error.h>

#include <sys/un.h>

#include <ostream>

#include <doctest/doctest.h>

namespace uaio::endpoint_test {

TEST_CASE("an endpoint is parsed from text and formatted as text") {
    for (const std::string text : {"127.0.0.1:0", "0.0.0.0:65535", "192.0.2.1:80", "[::1]:443",
                                   "[::]:1", "[2001:db8::1]:8080"}) {
        Endpoint endpoint;
        REQUIRE(!Endpoint::parse(text, endpoint));
        CHECK(endpoint.to_string() == text);
    }
}

TEST_CASE("the named endpoints have their address, port and family") {
    CHECK(Endpoint().to_string() == "0.0.0.0:0");
    CHECK(Endpoint::loopback(80).to_string() == "127.0.0.1:80");
    CHECK(Endpoint::loopback6(80).to_string() == "[::1]:80");
    CHECK(Endpoint::any(80).to_string() == "0.0.0.0:80");
    CHECK(Endpoint::any6(80).to_string() == "[::]:80");
    CHECK(Endpoint::loopback(80).port() == 80);
    CHECK(Endpoint::loopback6(81).port() == 81);
    CHECK(Endpoint::loopback(1).family() == AF_INET);
    CHECK(Endpoint::loopback6(1).family() == AF_INET6);
    CHECK(Endpoint::loopback(1).size() == sizeof(sockaddr_in));
    CHECK(Endpoint::loopback6(1).size() == sizeof(sockaddr_in6));
}

TEST_CASE(
    "text that is not a numeric address and a port is refused, and the endpoint keeps its value") {
    for (const std::string_view text :
         {"",
          ":",
          "127.0.0.1",
          "127.0.0.1:",
          ":80",
          "127.0.0.1:65536",
          "127.0.0.1:-1",
          "127.0.0.1:+1",
          "127.0.0.1: 80",
          "127.0.0.1:80 ",
          "127.0.0.1:8x",
          "127.1:80",
          "256.0.0.1:80",
          "localhost:80",
          "::1:80",
          "[::1]",
          "[::1]80",
          "[::1:80",
          "::1]:80",
          "[]:80",
          "[127.0.0.1]:80",
          "[::1%lo]:80",
          "[:::]:80",
          "[1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111:2222]:80"}) {
        CAPTURE(text);
        Endpoint endpoint = Endpoint::loopback(7);
        CHECK(Endpoint::parse(text, endpoint) == ArgumentErrc::invalid_endpoint);
        CHECK(endpoint == Endpoint::loopback(7));
    }
}

TEST_CASE("endpoints are equal when family, address and port are") {
    CHECK(Endpoint::loopback(80) == Endpoint::loopback(80));
    CHECK(Endpoint::loopback(80) != Endpoint::loopback(81));
    CHECK(Endpoint::loopback(80) != Endpoint::any(80));
    CHECK(Endpoint::loopback(80) != Endpoint::loopback6(80));
    CHECK(Endpoint::loopback6(80) != Endpoint::any6(80));
    CHECK(Endpoint::any6(80) == Endpoint::any6(80));
}

TEST_CASE("an endpoint converts from sockaddr, or is the default one") {
    const Endpoint v4 = Endpoint::loopback(80);
    const Endpoint v6 = Endpoint::loopback6(80);
    CHECK(Endpoint::from(v4.address(), v4.size()) == v4);
    CHECK(Endpoint::from(v6.address(), v6.size()) == v6);
    CHECK(Endpoint::from(v6.address(), v4.size()) == Endpoint());
    sockaddr other{};
    other.sa_family = AF_UNIX;
    CHECK(Endpoint::from(&other, sizeof other) == Endpoint());
    CHECK(Endpoint::from(nullptr, 0) == Endpoint());
    CHECK(Endpoint::from(nullptr, sizeof(sockaddr_in)) == Endpoint());
    const auto byte = std::make_unique<char>();  // the family would lie behind it
    CHECK(Endpoint::from(reinterpret_cast<const sockaddr*>(byte.get()), 1) == Endpoint());
}

TEST_CASE("an address is parsed and formatted without a port") {
    Endpoint read;
    CHECK(!Endpoint::parse_address("127.0.0.1", 80, read));
    CHECK(read == Endpoint::loopback(80));
    CHECK(read.host() == "127.0.0.1");
    for (const char* text : {"::1", "[::1]"}) {
        CHECK(!Endpoint::parse_address(text, 81, read));
        CHECK(read == Endpoint::loopback6(81));
        CHECK(read.host() == "::1");
    }
    CHECK(read.with_port(5) == Endpoint::loopback6(5));
    CHECK(Endpoint::any(1).with_port(2) == Endpoint::any(2));
    for (const char* bad :
         {"", "127.1", "127.0.0.1:80", "[127.0.0.1]", "[::1", "::1]", "a", "1::2::3"}) {
        CHECK(Endpoint::parse_address(bad, 80, read) == ArgumentErrc::invalid_endpoint);
    }
    CHECK(read == Endpoint::loopback6(81));
}

}  // namespace uaio::endpoint_test
