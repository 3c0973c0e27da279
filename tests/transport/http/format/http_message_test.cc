#include <uaio/argument_error.h>
#include <uaio/error.h>
#include <uaio/http_error.h>
#include <uaio/http_message.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "transport/http/format/head_parser.h"
#include "transport/http/format/message_reader.h"

#include <array>
#include <ostream>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http::http_message_test {

TEST_CASE("a new request and a new response have the defaults of nng") {
    const Request request;
    CHECK(request.method() == "GET");
    CHECK(request.target().empty());
    CHECK(request.version() == Version::http_1_1);
    CHECK(request.headers().empty());
    CHECK(!request.has_content());
    const Response response;
    CHECK(response.status() == 200);
    CHECK(response.reason() == "OK");
}

std::string fields_of(const std::string& lines) {
    std::array<FieldSlice, 8> room;
    RequestParser parser(room);
    const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "Last: 1\r\n\r\n";
    REQUIRE(parser.parse(head).progress == Progress::complete);
    Request request;
    REQUIRE(!MessageReader::read(parser.head(), request));
    CHECK(request.headers().get("last") == "1");
    return std::string(request.headers().text());
}

TEST_CASE("a received field is kept in one form, however its line is written") {
    for (const std::string line : {"X: v", "X:v", "X:\tv", "X:  v", "X: v ", "X: v\t"}) {
        CAPTURE(line);
        CHECK(fields_of(line + "\r\n") == "Host: h\r\nX: v\r\nLast: 1\r\n");
    }
    CHECK(fields_of("X:\r\n") == "Host: h\r\nX: \r\nLast: 1\r\n");
    CHECK(fields_of("Ab: 1\r\naB: 2\r\n") == "Host: h\r\nAb: 1, 2\r\nLast: 1\r\n");
    CHECK(fields_of("Ab: 1\r\nAc: 2\r\n") == "Host: h\r\nAb: 1\r\nAc: 2\r\nLast: 1\r\n");
}

TEST_CASE("the constructor of a request takes a URL") {
    const Request request("http://example.org:8080/a?b#fragment");
    CHECK(request.target() == "/a?b");
    CHECK(request.headers().get("Host") == "example.org:8080");
    CHECK(Request("https://h:443").target() == "/");
    CHECK(Request("https://h:443").headers().get("Host") == "h");
    CHECK(Request("http://[::1]?x").target() == "/?x");
    CHECK(Request("http://[::1]?x").headers().get("Host") == "[::1]");
    CHECK_THROWS_WITH_AS(Request("ftp://h/"), doctest::Contains("ftp://h/"), std::system_error);
    Request changed("http://a/b");
    CHECK(changed.set_url("http://u@c/d") == ArgumentErrc::invalid_url);
    CHECK(changed.target() == "/b");
    CHECK(!changed.set_url(changed.target() == "/b" ? "http://c/d" : ""));
    CHECK(changed.headers().get("Host") == "c");
}

TEST_CASE("setters refuse values that could split a message (W3)") {
    Request request("http://a/");
    for (const std::string_view method : {"", "GE T", "GET\r\n", "G\xc9T", "GET:", "(GET)"})
        CHECK(request.set_method(method) == ArgumentErrc::invalid_method);
    for (const std::string_view target : {"", "/a b", "/\r\n", "/\t", "/#a", "/\x7f", "/\xe4"})
        CHECK(request.set_target(target) == ArgumentErrc::invalid_target);
    CHECK(request.set_target(std::string_view("/\0", 2)) == ArgumentErrc::invalid_target);
    CHECK(request.method() == "GET");
    CHECK(request.target() == "/");
    CHECK(!request.set_method("PURGE"));
    CHECK(request.method() == "PURGE");
    Response response;
    for (const std::string_view reason : {"O\rK", "O\nK", "\x01", "\x7f"})
        CHECK(response.set_reason(reason) == ArgumentErrc::invalid_reason);
    for (const int status : {-1, 0, 99, 1000, 20000})
        CHECK(response.set_status(status) == ArgumentErrc::invalid_status);
    CHECK(response.reason() == "OK");
}

TEST_CASE("content is borrowed or copied, and both set Content-Length") {
    std::string bytes = "hello";
    Request request;
    CHECK(!request.set_content(bytes));
    CHECK(request.headers().get("Content-Length") == "5");
    CHECK(request.content().data() == bytes.data());
    CHECK(!request.copy_content(bytes));
    bytes = "HELLO";
    CHECK(request.content() == "hello");
    const Request copy = request;
    CHECK(!request.copy_content(request.content().substr(1)));
    CHECK(request.content() == "ello");
    CHECK(request.headers().get("Content-Length") == "4");
    CHECK(copy.content() == "hello");
    CHECK(!request.set_content(nullptr, 0));
    CHECK(request.has_content());
    CHECK(request.headers().get("Content-Length") == "0");
    request.clear_content();
    CHECK(!request.has_content());
    CHECK(!request.headers().contains("Content-Length"));
    CHECK(request.set_content(nullptr, 1) == Errc::invalid_argument);
    CHECK(request.copy_content(nullptr, 1) == Errc::invalid_argument);
    CHECK(!request.headers().set("Transfer-Encoding", "chunked"));
    CHECK(request.set_content("x") == ArgumentErrc::conflicting_header);
    CHECK(request.copy_content("x") == ArgumentErrc::conflicting_header);
    CHECK(!request.has_content());
}

TEST_CASE("a copy may be of a part of the message itself") {
    Request request("http://example.org/path");
    CHECK(!request.headers().set("X", "value"));
    CHECK(!request.copy_content("a long enough text that it has a block of its own"));
    CHECK(!request.copy_content(*request.headers().get("X")));
    CHECK(request.content() == "value");
    CHECK(!request.copy_content(request.headers().text()));
    CHECK(request.content() == "Host: example.org\r\nX: value\r\nContent-Length: 5\r\n");
    CHECK(!request.set_target(request.target().substr(2)));
    CHECK(request.target() == "ath");
}

TEST_CASE("reset restores the defaults of a message") {
    Request request("http://a/b");
    CHECK(!request.set_method("POST"));
    CHECK(!request.copy_content("x"));
    request.set_version(Version::http_1_0);
    request.reset();
    CHECK(request.method() == "GET");
    CHECK(request.target().empty());
    CHECK(request.version() == Version::http_1_1);
    CHECK(request.headers().empty());
    CHECK(!request.has_content());
    Response response;
    CHECK(!response.set_status(404));
    CHECK(!response.set_reason("Gone fishing"));
    CHECK(response.reason() == "Gone fishing");
    CHECK(!response.set_status(405));
    CHECK(response.reason() == "Method Not Allowed");
    CHECK(!response.set_reason("x"));
    CHECK(!response.set_reason(""));
    CHECK(response.reason() == "Method Not Allowed");
    response.reset();
    CHECK(response.status() == 200);
    CHECK(response.reason() == "OK");
}

TEST_CASE("every registered status has its reason phrase") {
    int known = 0;
    for (int status = -1; status < 1100; ++status)
        known += reason_phrase(status).empty() ? 0 : 1;
    CHECK(known == 61);
    CHECK(reason_phrase(100) == "Continue");
    CHECK(reason_phrase(308) == "Permanent Redirect");
    CHECK(reason_phrase(413) == "Content Too Large");
    CHECK(reason_phrase(422) == "Unprocessable Content");
    CHECK(reason_phrase(502) == "Bad Gateway");
    CHECK(reason_phrase(511) == "Network Authentication Required");
    for (const int none : {0, 99, 209, 306, 418, 499, 509, 512, 599, 999})
        CHECK(reason_phrase(none).empty());
}

TEST_CASE("an error page contains its status and reason phrase") {
    Response response;
    CHECK(!response.headers().set("X", "kept"));
    CHECK(!response.headers().set("Transfer-Encoding", "chunked"));
    CHECK(!response.set_error_page(404));
    CHECK(response.status() == 404);
    CHECK(response.content().find("<h1>404 Not Found</h1>") != std::string_view::npos);
    CHECK(response.headers().get("Content-Type") == "text/html; charset=utf-8");
    CHECK(response.headers().get("Content-Length") == std::to_string(response.content().size()));
    CHECK(response.headers().get("X") == "kept");
    CHECK(!response.set_error_page(599));
    CHECK(response.content().find("<h1>599 </h1>") != std::string_view::npos);
    for (const int status : {101, 204, 205, 304}) {
        CHECK(!response.set_error_page(status));
        CHECK(!response.has_content());
        CHECK(!response.headers().contains("Content-Length"));
    }
    CHECK(response.set_error_page(99) == ArgumentErrc::invalid_status);
    CHECK(response.status() == 304);
}

TEST_CASE("a parse error maps to the status of the server's response") {
    CHECK(status_for(HttpErrc::start_line_too_long) == 414);
    CHECK(status_for(HttpErrc::bad_host) == 400);
    CHECK(status_for(Errc::timed_out) == 500);
}

TEST_CASE("a message that is reused allocates nothing") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    Request request;
    const auto use = [&request] {
        request.reset();
        bool failed = !!request.set_method("POST");
        failed |= !!request.set_target("/a/path/that/is/longer/than/what/a/string/holds/inside");
        failed |= !!request.headers().set("Host", "example.org");
        failed |= !!request.headers().set("X", "a value that is longer than a string holds inside");
        failed |= !!request.headers().add("X", "and another one that is quite as long as that");
        failed |= !!request.headers().set("Host", "www.example.org");
        failed |= !!request.copy_content("content that is longer than what a string holds inside");
        return failed;
    };
    CHECK(!use());
    const std::uint64_t before = thread_allocations();
    bool failed = false;
    for (int round = 0; round < 100; ++round)
        failed |= use();
    const std::uint64_t after = thread_allocations();
    CHECK(!failed);
    CHECK(after == before);
}

}  // namespace uaio::http::http_message_test
