// The serialiser's output, byte for byte, and that the library's parser reads it back. The names in
// brackets refer to docs/http_contract.md.
#include <uaio/argument_error.h>
#include <uaio/error.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "transport/http/format/chunked.h"
#include "transport/http/format/message_reader.h"
#include "transport/http/format/serialiser.h"

#include <array>
#include <ostream>

#include <doctest/doctest.h>

namespace uaio::http::http_serialiser_test {

std::string head_of(const Request& request, Payload payload = Payload::attached,
                    FollowingMessage* following = nullptr) {
    FollowingMessage unused;
    std::string head = "before";
    const auto error = write_head(request, payload, head, following ? *following : unused);
    if (!error) return head;
    CHECK(error == ArgumentErrc::invalid_message);
    CHECK(head.empty());
    return "refused";
}

std::string head_of(const Response& response, const ResponseContext& answered = {},
                    Payload payload = Payload::attached, FollowingMessage* following = nullptr) {
    FollowingMessage unused;
    std::string head = "before";
    const auto error =
        write_head(response, answered, payload, head, following ? *following : unused);
    if (!error) return head;
    CHECK(error == ArgumentErrc::invalid_message);
    CHECK(head.empty());
    return "refused";
}

TEST_CASE("a request is serialised with its fields in order") {
    Request request("http://a/b?c");
    CHECK(!request.headers().set("X", "y"));
    FollowingMessage following;
    CHECK(head_of(request, Payload::attached, &following) ==
          "GET /b?c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n");
    CHECK(following.framing == ContentFraming::none);
    CHECK(following.keep_alive);
    CHECK(!request.set_method("POST"));
    CHECK(head_of(request).ends_with("X: y\r\nContent-Length: 0\r\n\r\n"));
    CHECK(!request.set_content("hello"));
    CHECK(!request.headers().set("Connection", "close"));
    CHECK(
        head_of(request, Payload::attached, &following) ==
        "POST /b?c HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    CHECK(following.framing == ContentFraming::length);
    CHECK(following.length == 5);
    CHECK(!following.keep_alive);
}

TEST_CASE("a changed header is sent with its new value") {
    Request request("http://a/");
    CHECK(head_of(request) == "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(!request.headers().set("Host", "b"));
    CHECK(!request.set_target("/c"));
    CHECK(head_of(request) == "GET /c HTTP/1.1\r\nHost: b\r\n\r\n");
}

TEST_CASE("the serialiser refuses a request that a server would refuse (W3, W4, W5)") {
    CHECK(head_of(Request()) == "refused");  // nng: NNG_EINVAL
    Request request;
    CHECK(!request.set_target("/"));
    CHECK(head_of(request) == "refused");  // no Host
    request.set_version(Version::http_1_0);
    CHECK(head_of(request) == "GET / HTTP/1.0\r\n\r\n");
    request.set_version(Version::http_1_1);
    CHECK(!request.headers().set("Host", "a"));
    CHECK(!request.set_target("*"));
    CHECK(head_of(request) == "refused");
    CHECK(!request.set_method("OPTIONS"));
    CHECK(head_of(request) == "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(!request.set_method("CONNECT"));
    CHECK(head_of(request) == "refused");
    CHECK(!request.set_target("h:1"));
    FollowingMessage following;
    CHECK(head_of(request, Payload::attached, &following) ==
          "CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(following.framing == ContentFraming::tunnel);
    CHECK(!request.set_content("x"));
    CHECK(head_of(request) == "refused");
    CHECK(!request.set_method("PUT"));
    CHECK(!request.set_target("/"));
    CHECK(head_of(request) != "refused");
    CHECK(!request.headers().set("Content-Length", "2"));
    CHECK(head_of(request) == "refused");
    request.clear_content();
    CHECK(!request.headers().set("Content-Length", "2"));
    CHECK(head_of(request) == "refused");
}

TEST_CASE("streamed content of a request has a length or is chunked") {
    Request request("http://a/");
    CHECK(!request.set_method("PUT"));
    FollowingMessage following;
    CHECK(head_of(request, Payload::streamed, &following) ==
          "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(following.framing == ContentFraming::chunked);
    CHECK(!request.headers().set("Transfer-Encoding", "chunked"));
    CHECK(head_of(request, Payload::streamed) ==
          "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(head_of(request) == "refused");  // chunks are not attached
    request.headers().erase("Transfer-Encoding");
    request.set_version(Version::http_1_0);
    CHECK(head_of(request, Payload::streamed) == "refused");
    CHECK(!request.headers().set("Content-Length", "7"));
    CHECK(head_of(request, Payload::streamed, &following).ends_with("Content-Length: 7\r\n\r\n"));
    CHECK(following.framing == ContentFraming::length);
    CHECK(following.length == 7);
}

TEST_CASE("a response is serialised with its fields in order") {
    Response response;
    FollowingMessage following;
    CHECK(head_of(response, {}, Payload::attached, &following) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK(following.keep_alive);
    CHECK(following.framing == ContentFraming::none);
    CHECK(!response.set_content("hello"));
    CHECK(!response.set_status(299));
    CHECK(head_of(response) == "HTTP/1.1 299 \r\nContent-Length: 5\r\n\r\n");
    CHECK(!response.set_reason("Nice"));
    CHECK(head_of(response) == "HTTP/1.1 299 Nice\r\nContent-Length: 5\r\n\r\n");
    CHECK(!response.headers().set("Content-Length", "6"));
    CHECK(head_of(response) == "refused");
}

TEST_CASE("a response whose status allows no content is sent without content (W7)") {
    for (const int status : {100, 101, 103, 204, 304}) {
        CAPTURE(status);
        Response response;
        CHECK(!response.set_status(status));
        const std::string line =
            "HTTP/1.1 " + std::to_string(status) + " " + std::string(response.reason()) + "\r\n";
        CHECK(head_of(response) == line + "\r\n");
        CHECK(head_of(response, {}, Payload::streamed) == line + "\r\n");
        CHECK(!response.set_content("x"));
        CHECK(head_of(response) == "refused");
        CHECK(!response.set_content(""));
        CHECK(head_of(response) == line + (status == 304 ? "Content-Length: 0\r\n\r\n" : "\r\n"));
        response.clear_content();
        CHECK(!response.headers().set("Content-Length", "5"));  // as a 200 would have
        CHECK(head_of(response) ==
              (status == 304 ? line + "Content-Length: 5\r\n\r\n" : "refused"));
    }
    Response reset;
    CHECK(!reset.set_status(205));
    CHECK(head_of(reset) == "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
    CHECK(!reset.set_content("x"));
    CHECK(head_of(reset) == "refused");
}

TEST_CASE("the response to HEAD has Content-Length and no content (W7)") {
    Response response;
    CHECK(!response.set_content("hello"));
    FollowingMessage following;
    CHECK(head_of(response, {.method = "HEAD"}, Payload::attached, &following) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    CHECK(following.framing == ContentFraming::none);
    response.clear_content();
    CHECK(!response.headers().set("Content-Length", "77"));
    CHECK(head_of(response, {.method = "HEAD"}) == "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
    response.headers().clear();
    CHECK(head_of(response, {.method = "HEAD"}, Payload::streamed, &following) ==
          "HTTP/1.1 200 OK\r\n\r\n");
    CHECK(following.framing == ContentFraming::none);
}

TEST_CASE("a response that accepts CONNECT or an upgrade has no framing") {
    Response response;
    FollowingMessage following;
    CHECK(head_of(response, {.method = "CONNECT"}, Payload::attached, &following) ==
          "HTTP/1.1 200 OK\r\n\r\n");
    CHECK(following.framing == ContentFraming::tunnel);
    CHECK(!response.headers().set("Transfer-Encoding", "chunked"));
    CHECK(head_of(response, {.method = "CONNECT"}) == "refused");
    response.reset();
    CHECK(!response.set_status(407));
    CHECK(!response.set_content("no"));
    CHECK(head_of(response, {.method = "CONNECT"}).ends_with("Content-Length: 2\r\n\r\n"));
}

TEST_CASE("streamed content of a response has a length, is chunked, or ends the connection") {
    Response response;
    FollowingMessage following;
    CHECK(head_of(response, {}, Payload::streamed, &following) ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(following.framing == ContentFraming::chunked);
    CHECK(!response.headers().set("Transfer-Encoding", "chunked"));
    const ResponseContext old{.version = Version::http_1_0, .keep_alive = true};
    CHECK(head_of(response, old, Payload::streamed, &following) ==
          "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    CHECK(following.framing == ContentFraming::until_close);
    CHECK(!following.keep_alive);
    response.headers().clear();
    CHECK(!response.headers().set("Content-Length", "9"));
    CHECK(head_of(response, old, Payload::streamed, &following) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: keep-alive\r\n\r\n");
    CHECK(following.keep_alive);
}

TEST_CASE("the Connection field states whether the connection persists") {
    const auto head = [](std::string_view connection, Version version, bool keep_alive) {
        Response response;
        if (!connection.empty()) CHECK(!response.headers().set("Connection", connection));
        FollowingMessage following;
        const std::string text = head_of(response, {.version = version, .keep_alive = keep_alive},
                                         Payload::attached, &following);
        const std::string_view line = "HTTP/1.1 200 OK\r\n";
        const std::string_view end = "\r\n\r\n";
        return text.substr(line.size(), text.size() - line.size() - end.size()) +
               (following.keep_alive ? " goes on" : " ends");
    };
    const std::string length = "Content-Length: 0";
    CHECK(head("", Version::http_1_1, true) == length + " goes on");
    CHECK(head("", Version::http_1_1, false) == length + "\r\nConnection: close ends");
    CHECK(head("", Version::http_1_0, true) == length + "\r\nConnection: keep-alive goes on");
    CHECK(head("", Version::http_1_0, false) == length + "\r\nConnection: close ends");
    CHECK(head("close", Version::http_1_1, true) == "Connection: close\r\n" + length + " ends");
    CHECK(head("x", Version::http_1_1, false) ==
          "Connection: x\r\n" + length + "\r\nConnection: close ends");
    CHECK(head("keep-alive", Version::http_1_0, true) ==
          "Connection: keep-alive\r\n" + length + " goes on");
}

TEST_CASE("a trailer with a field that affects framing or routing is refused (W7)") {
    Headers trailer;
    std::string out;
    CHECK(!write_trailer(trailer, true, out));
    CHECK(out == kOnlyChunk);
    CHECK(!write_trailer(trailer, false, out));
    CHECK(out == kLastChunk);
    CHECK(!trailer.set("Digest", "x"));
    CHECK(!write_trailer(trailer, false, out));
    CHECK(out == "\r\n0\r\nDigest: x\r\n\r\n");
    for (const auto& [name, value] : {std::pair("content-length", "5"),
                                      {"Host", "a"},
                                      {"Transfer-Encoding", "chunked"},
                                      {"Authorization", "x"},
                                      {"Set-Cookie", "x"}}) {
        trailer.clear();
        CHECK(!trailer.set(name, value));
        CHECK(write_trailer(trailer, false, out) == ArgumentErrc::invalid_trailer);
        CHECK(out.empty());
    }
}

TEST_CASE("a parsed message is serialised to the same bytes") {
    const std::string_view head =
        "POST http://b/c?d HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nCookie: a=b\r\nCookie: c=d\r\n"
        "Transfer-Encoding:chunked\r\n\r\n";
    std::array<FieldSlice, 16> room;
    RequestParser parser(room);
    REQUIRE(parser.parse(head).progress == Progress::complete);
    Request request;
    CHECK(!MessageReader::read(parser.head(), request));
    CHECK(head_of(request, Payload::streamed) ==
          "POST http://b/c?d HTTP/1.1\r\nHost: a\r\nX: 1, 2\r\nCookie: a=b; c=d\r\n"
          "Transfer-Encoding: chunked\r\n\r\n");
    ResponseParser responses(room);
    REQUIRE(responses.parse("HTTP/1.0 200 \r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n").progress ==
            Progress::complete);
    Response response;
    CHECK(!MessageReader::read(responses.head(), response));
    CHECK(response.reason().empty());
    CHECK(head_of(response, {}, Payload::streamed) ==
          "HTTP/1.0 200 \r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: close\r\n\r\n");
    MessageReader::content(response).assign("received");
    CHECK(response.content() == "received");
    CHECK(!response.headers().contains("Content-Length"));
}

TEST_CASE("reused messages are read and written without an allocation") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    std::array<FieldSlice, 16> room;
    RequestParser parser(room);
    Request request;
    Response response;
    std::string head;
    FollowingMessage following;
    const auto use = [&] {
        parser.reset();
        bool good = parser
                        .parse(
                            "GET /a/target/that/is/longer/than/a/string/holds HTTP/1.1\r\n"
                            "Host: a\r\nAccept: a\r\nAccept: b\r\n\r\n")
                        .progress == Progress::complete;
        good &= !MessageReader::read(parser.head(), request);
        good &= !write_head(request, Payload::attached, head, following);
        response.reset();
        good &= !response.set_error_page(204) && !response.set_status(200);
        good &= !response.copy_content("content that is longer than what a string holds inside");
        good &= !write_head(response, {}, Payload::attached, head, following);
        return good;
    };
    CHECK(use());
    CHECK(use());
    const std::uint64_t before = thread_allocations();
    bool good = true;
    for (int round = 0; round < 100; ++round)
        good &= use();
    const std::uint64_t after = thread_allocations();
    CHECK(good);
    CHECK(after == before);
}

TEST_CASE("a final response has one Date field") {
    Response response;
    const ResponseContext answered{.date = "Sun, 06 Nov 1994 08:49:37 GMT"};
    CHECK(head_of(response, answered) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    CHECK(!response.headers().set("date", "its own"));
    CHECK(head_of(response, answered) ==
          "HTTP/1.1 200 OK\r\ndate: its own\r\nContent-Length: 0\r\n\r\n");
    response.reset();
    CHECK(!response.set_status(100));
    CHECK(head_of(response, answered) == "HTTP/1.1 100 Continue\r\n\r\n");
}

}  // namespace uaio::http::http_serialiser_test
