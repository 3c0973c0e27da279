// How an http::Connection reads messages: heads, bytes after a head, and the effect of a message on
// the raw verbs around it.
#include <uaio/engine_group.h>
#include <uaio/http.h>
#include <uaio/http_error.h>
#include <uaio/tcp.h>

#include "tests/support/messages.h"

#include <string>

#include <doctest/doctest.h>

namespace uaio::http_session_test {

using namespace std::chrono_literals;
using http::Request;
using http::Response;

constexpr std::string_view kGet = "GET /a?b HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";

TEST_CASE_TEMPLATE("a request is read, and its response is sent in one write", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(kGet);
    Request request;
    CHECK(read_request(fixture, request) == success(0));
    CHECK(request.method() == "GET");
    CHECK(request.target() == "/a?b");
    CHECK(request.headers().get("x") == "y");
    Response response;
    REQUIRE(!response.set_content("hello"));
    constexpr std::string_view kWire = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const auto sends = fixture.engine().statistics().submissions;
    CHECK(write_response(fixture, response) == success(kWire.size()));
    CHECK(fixture.engine().statistics().submissions == sends + 1);
    CHECK(fixture.receive(kWire.size()) == kWire);
    CHECK(fixture.connection().keeps_alive());
}

TEST_CASE_TEMPLATE("a head is read in pieces, by a read that starts before it", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request request;
    Operation read(fixture.engine());
    fixture.connection().read_request(request, read.aio);
    for (const char byte : kGet) {
        CHECK(read.ended() == kPending);
        fixture.peer().send({&byte, 1});
        fixture.run_some();
    }
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(0));
    CHECK(request.headers().get("Host") == "h");
}

TEST_CASE_TEMPLATE("pipelined requests are read one by one and answered in order", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(
        "HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /3 HTTP/1.0\r\n\r\n");
    Request requests[3];
    for (Request& request : requests)
        CHECK(read_request(fixture, request) == success(0));
    CHECK(requests[0].target() == "/1");
    CHECK(requests[1].target() == "/2");
    CHECK(requests[2].target() == "/3");
    Response response;
    REQUIRE(!response.set_content("abc"));
    std::string wanted;
    for (int i = 0; i < 3; ++i)
        CHECK(write_response(fixture, response).error == std::error_code());
    CHECK(!fixture.connection().keeps_alive());
    wanted =
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    CHECK(fixture.receive(wanted.size()) == wanted);
}

TEST_CASE_TEMPLATE("raw reads return the bytes behind a head, then those of the stream", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string content = pattern(10000);
    fixture.peer().send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n" +
                        content.substr(0, 3000));
    Request request;
    CHECK(read_request(fixture, request) == success(0));
    std::string in(10000, '\0');
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 8)));
    fixture.connection().read_all(read.aio);
    fixture.run_some();
    CHECK(read.ended() == kPending);
    fixture.peer().send(content.substr(3000) + std::string(kGet));
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(10000));
    CHECK(in == content);
    CHECK(read_request(fixture, request) == success(0));
    CHECK(request.target() == "/a?b");
}

TEST_CASE_TEMPLATE("content with a length ends after that many bytes", Kernel, OnLinux, OnPoll,
                   OnSim) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100000}}) {
        ConnectionFixture fixture(Kernel::kKind);
        const std::string content = pattern(piece == 1 ? 300 : 9000);
        Request request;
        Operation head(fixture.engine());
        fixture.connection().read_request(request, head.aio);
        fixture.peer().send(
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(content.size()) +
            "\r\n\r\n" + content + std::string(kGet));
        REQUIRE(fixture.run_until_done(head));
        Ended last;
        CHECK(read_content(fixture, piece, last) == content);
        CHECK(last == failure(Errc::end_of_stream));
        CHECK(read_request(fixture, request) == success(0));
        CHECK(request.target() == "/a?b");
    }
}

TEST_CASE_TEMPLATE("a reader removes the chunk framing, and stores the trailer separately", Kernel,
                   OnLinux, OnPoll, OnSim) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100000}}) {
        ConnectionFixture fixture(Kernel::kKind);
        const std::string content = pattern(piece == 1 ? 300 : 9000);
        fixture.peer().send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        Request request;
        CHECK(read_request(fixture, request) == success(0));
        char size[16];
        std::snprintf(size, sizeof size, "%zx", content.size() - 100);
        fixture.peer().send("64;x=y\r\n" + content.substr(0, 100) + "\r\n" + size + "\r\n" +
                            content.substr(100) + "\r\n0\r\nT: v\r\n\r\n" + std::string(kGet));
        Ended last;
        CHECK(read_content(fixture, piece, last) == content);
        CHECK(last == failure(Errc::end_of_stream));
        CHECK(fixture.connection().read_content().trailer().get("t") == "v");
        CHECK(!request.headers().contains("t"));
        CHECK(read_request(fixture, request) == success(0));
        CHECK(request.target() == "/a?b");
    }
}

TEST_CASE_TEMPLATE("a connection skips content that the program does not read", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(
        "PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
        "PUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n" +
        std::string(kGet));
    Request request;
    for (const char* target : {"/1", "/2", "/a?b"}) {
        CHECK(read_request(fixture, request) == success(0));
        CHECK(request.target() == target);
    }
}

TEST_CASE_TEMPLATE("a connection fits a response without a request to the last one answered",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    Request request;
    Operation read(fixture.engine());
    fixture.connection().read_request(request, read.aio);
    REQUIRE(fixture.run_until_done(read));
    Response response;
    REQUIRE(!response.set_content("hello"));
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    CHECK(write_response(fixture, response) == success(head.size()));
    CHECK(write_response(fixture, response) == success(head.size()));
    CHECK(fixture.receive(2 * head.size()) == head + head);
}

TEST_CASE_TEMPLATE("a malformed head ends reading, and a response can still be written (R-15)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send("GET /\r\n\r\nhello");
    Request request;
    std::string in(5, '\0');
    Operation read(fixture.engine());
    Operation queued(fixture.engine(), in);
    fixture.connection().read_request(request, read.aio);
    fixture.connection().read_all(queued.aio);
    REQUIRE(fixture.run_until([&] { return read.done() && queued.done(); }));
    CHECK(read.ended() == failure(HttpErrc::bad_start_line));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(!fixture.connection().keeps_alive());
    Response response;
    REQUIRE(!response.set_error_page(http::status_for(read.ended().error)));
    CHECK(!write_response(fixture, response).error);
    CHECK(fixture.receive(24).starts_with("HTTP/1.1 400 Bad Request"));
}

TEST_CASE_TEMPLATE(
    "an end of stream between heads, in a head and in content is three different errors", Kernel,
    OnLinux, OnPoll, OnSim) {
    const std::pair<std::string, Errc> cases[] = {
        {"", Errc::end_of_stream},
        {"GET / HTTP/1.1\r\nHo", Errc::truncated},
        {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", Errc::truncated},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
         Errc::truncated},
    };
    for (const auto& [bytes, wanted] : cases) {
        ConnectionFixture fixture(Kernel::kKind);
        fixture.peer().send(bytes);
        fixture.peer().shutdown_write();
        Request request;
        const bool content = bytes.starts_with("PUT");
        Ended ended = read_request(fixture, request);
        if (content) {
            CHECK(ended == success(0));
            CHECK(read_content(fixture, 100, ended) == "hel");
            CHECK(read_request(fixture, request).error == wanted);
        }
        CHECK(ended == failure(wanted));
    }
}

TEST_CASE_TEMPLATE("a cancelled read of a head loses no byte", Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(kGet.substr(0, 10));
    Request request;
    Operation read(fixture.engine());
    fixture.connection().read_request(request, read.aio);
    fixture.run_some();
    read.aio.cancel();
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::canceled));
    fixture.peer().send(kGet.substr(10));
    CHECK(read_request(fixture, request) == success(0));
    CHECK(request.target() == "/a?b");
}

TEST_CASE_TEMPLATE("a read of a head expires at its timeout and at head_timeout", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind, {.http = {.head_timeout = 30ms}});
    Request request;
    Operation read(fixture.engine());
    read.aio.set_timeout(10ms);
    fixture.connection().read_request(request, read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
    read.forget();
    read.aio.set_timeout(1h);
    fixture.peer().send("GET");
    fixture.connection().read_request(request, read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
    read.forget();
    read.aio.set_timeout(0s);
    fixture.connection().read_request(request, read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("head_timeout limits a head, not each read that waits for it", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind, {.http = {.head_timeout = 30ms}});
    Request request;
    Operation read(fixture.engine());
    fixture.peer().send("GET");
    fixture.connection().read_request(request, read.aio);
    fixture.run_some();
    read.aio.cancel();
    REQUIRE(fixture.run_until_done(read));
    for (int again = 0; again < 2; ++again) {
        read.forget();
        fixture.connection().read_request(request, read.aio);
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == failure(Errc::timed_out));
    }
}

TEST_CASE_TEMPLATE("a trailer belongs to its own message", Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    fixture.peer().send(chunks + "T: v\r\n\r\n" + chunks + "\r\n");
    Response response;
    for (const bool has : {true, false}) {
        Operation read(fixture.engine());
        fixture.connection().read_response(response, read.aio);
        REQUIRE(fixture.run_until_done(read));
        Ended last;
        CHECK(read_content(fixture, 5, last) == "x");
        CHECK(fixture.connection().read_content().trailer().contains("T") == has);
    }
}

TEST_CASE_TEMPLATE(
    "a cancelled read of content returns the bytes received, and the next read the rest", Kernel,
    OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string content = pattern(8000);
    fixture.peer().send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000\r\n\r\n");
    Request request;
    CHECK(read_request(fixture, request) == success(0));
    std::string in(8000, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read_content().read_all(read.aio);
    fixture.peer().send(content.substr(0, 4000));
    fixture.run_some();
    read.aio.cancel();
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::canceled, 4000));
    fixture.peer().send(content.substr(4000));
    Ended last;
    CHECK(in.substr(0, 4000) + read_content(fixture, 999, last) == content);
    CHECK(last == failure(Errc::end_of_stream));
}

TEST_CASE_TEMPLATE("close ends the pending reads of messages", Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Request requests[2];
    Operation first(fixture.engine());
    Operation second(fixture.engine());
    fixture.connection().read_request(requests[0], first.aio);
    fixture.connection().read_request(requests[1], second.aio);
    SUBCASE("close") { fixture.connection().close(); }
    SUBCASE("the connection goes") { fixture.drop_connection(); }
    REQUIRE(fixture.run_until([&] { return first.done() && second.done(); }));
    CHECK(first.ended() == failure(Errc::closed));
    CHECK(second.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("a connection sends 100 Continue when the program reads the content", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().send(
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    Request request;
    CHECK(read_request(fixture, request) == success(0));
    fixture.run_some();
    fixture.peer().read_some();
    CHECK(fixture.peer().received().empty());
    std::string in(5, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read_content().read_all(read.aio);
    CHECK(fixture.receive(25) == "HTTP/1.1 100 Continue\r\n\r\n");
    fixture.peer().send("hello");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(5));
    CHECK(in == "hello");
}

TEST_CASE_TEMPLATE("message verbs work on another thread", Kernel, OnLinux, OnPoll) {
    EngineThread io(options_on(Kernel::kKind));
    RawListener listener;
    StreamPtr stream;
    Aio connecting(io.engine());
    tcp::connect(listener.endpoint(), {}, connecting, stream);
    RawPeer far = RawPeer::accept_from(listener.fd());
    REQUIRE(!connecting.wait());
    http::Connection connection(std::move(stream));
    far.send(kGet);
    Request request;
    Aio aio(io.engine());
    connection.read_request(request, aio);
    REQUIRE(!aio.wait());
    CHECK(request.target() == "/a?b");
    Response response;
    connection.write_response(response, aio);
    REQUIRE(!aio.wait());
    CHECK(aio.count() == 38);
    std::string in(3, '\0');
    aio.set_iov(in.data(), in.size());
    far.send("abc");
    connection.read_all(aio);
    REQUIRE(!aio.wait());
    CHECK(in == "abc");
}

}  // namespace uaio::http_session_test
