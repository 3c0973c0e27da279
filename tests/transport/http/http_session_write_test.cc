// How an http::Connection writes messages, and reads the responses to them.
#include <uaio/argument_error.h>
#include <uaio/config.h>
#include <uaio/http.h>

#include "tests/support/messages.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

namespace uaio::http_session_write_test {

using http::Request;
using http::Response;

constexpr std::string_view kGet = "GET /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";

TEST_CASE_TEMPLATE("content of unknown length is written in chunks", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(kGet);
    Request request;
    CHECK(read_request(fixture, request) == success(0));
    Response response;
    REQUIRE(!response.headers().set("Transfer-Encoding", "chunked"));
    Operation head(fixture.engine());
    Operation one(fixture.engine(), "hello");
    Operation two(fixture.engine());
    const std::string many(20, 'x');
    REQUIRE(!two.aio.set_iov(entries_of(many, 20)));
    Operation end(fixture.engine());
    http::Headers trailer;
    REQUIRE(!trailer.set("T", "v"));
    fixture.connection().write_response(response, head.aio);
    fixture.connection().write_content().write(one.aio);
    fixture.connection().write_content().write(two.aio);
    fixture.connection().write_content().finish(trailer, end.aio);
    Response next;
    Operation after(fixture.engine());
    fixture.connection().write_response(next, after.aio);
    REQUIRE(fixture.run_until([&] { return after.done(); }));
    CHECK(!head.ended().error);
    CHECK(one.ended() == success(5));
    CHECK(two.ended() == success(20));
    CHECK(end.ended() == success(0));
    CHECK(!after.ended().error);
    std::string wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    // As many entries as an Aio holds, of which the first is the line of the chunk.
    const std::size_t most = std::max<std::size_t>(kInlineIov, 4) - 1;
    for (std::size_t left = many.size(); left > 0;) {
        const std::size_t size = std::min(left, most);
        wire += (size == 20 ? "14" : std::to_string(size)) + "\r\n" + many.substr(0, size) + "\r\n";
        left -= size;
    }
    wire +=
        "0\r\nT: v\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    CHECK(fixture.receive(wire.size()) == wire);
}

TEST_CASE_TEMPLATE("a writer refuses content longer or shorter than the declared length (W5)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Response response;
    REQUIRE(!response.headers().set("Content-Length", "5"));
    CHECK(!write_response(fixture, response).error);
    Operation much(fixture.engine(), "hello!");
    Operation some(fixture.engine(), "hel");
    Operation early(fixture.engine());
    Operation rest(fixture.engine(), "lo");
    Operation end(fixture.engine());
    http::ContentWriter content = fixture.connection().write_content();
    content.write(much.aio);
    content.write(some.aio);
    content.finish(early.aio);
    content.write(rest.aio);
    content.finish(end.aio);
    REQUIRE(fixture.run_until([&] { return end.done(); }));
    CHECK(much.ended() == failure(ArgumentErrc::wrong_message_state));
    CHECK(some.ended() == success(3));
    CHECK(early.ended() == failure(ArgumentErrc::wrong_message_state));
    CHECK(rest.ended() == success(2));
    CHECK(end.ended() == success(0));
    CHECK(fixture.receive(43) == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

TEST_CASE_TEMPLATE("a write of an invalid message fails and keeps the connection open (W-58)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request request;
    Operation write(fixture.engine());
    fixture.connection().write_request(request, write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == failure(ArgumentErrc::invalid_message));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a request is written, and its content by write_all after it (W-56)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request request("http://h/x");
    Operation write(fixture.engine());
    Operation content(fixture.engine(), "hello");
    constexpr std::string_view kHead = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    fixture.connection().write_request(request, write.aio);
    fixture.connection().write_all(content.aio);
    REQUIRE(fixture.run_until([&] { return content.done(); }));
    CHECK(write.ended() == success(kHead.size()));
    CHECK(content.ended() == success(5));
    CHECK(fixture.receive(kHead.size() + 5) == std::string(kHead) + "hello");
}

TEST_CASE_TEMPLATE("a change of a message after a write is sent by the next write (W-57, W-59)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request request("http://h/x");
    REQUIRE(!request.set_method("POST"));
    REQUIRE(!request.set_content("one"));
    std::string wanted;
    for (const char* target : {"/x", "/y"}) {
        REQUIRE(!request.set_target(target));
        const std::string head =
            "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none";
        wanted += head;
        Operation write(fixture.engine(), "its buffers are replaced");
        fixture.connection().write_request(request, write.aio);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(head.size()));
    }
    CHECK(fixture.receive(wanted.size()) == wanted);
}

TEST_CASE_TEMPLATE(
    "responses are read by the methods of their requests, and interim ones are skipped (S1)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request request("http://h/");
    for (const char* method : {"HEAD", "GET", "GET"}) {
        REQUIRE(!request.set_method(method));
        Operation write(fixture.engine());
        fixture.connection().write_request(request, write.aio);
        REQUIRE(fixture.run_until_done(write));
    }
    fixture.peer().send(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
        "HTTP/1.1 200 OK\r\n\r\nall the rest");
    fixture.peer().shutdown_write();
    Response response;
    for (const int status : {200, 304, 200}) {
        Operation read(fixture.engine());
        fixture.connection().read_response(response, read.aio);
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == success(0));
        CHECK(response.status() == status);
    }
    Ended last;
    CHECK(read_content(fixture, 5, last) == "all the rest");
    CHECK(last == failure(Errc::end_of_stream));
    CHECK(!fixture.connection().keeps_alive());
}

}  // namespace uaio::http_session_write_test
