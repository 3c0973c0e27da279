// A server that answers before it has read the request, and closes: the bytes it sent arrive.
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/client_lab.h"
#include "tests/support/pipe.h"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_client_early_test {

TEST_CASE_TEMPLATE("an early response followed by a reset is delivered as far as it was received",
                   Kernel, OnLinux, OnPoll) {
    const std::string content = pattern(16 << 20);
    const std::string page = pattern(6000, 2);
    for (const bool whole : {true, false}) {
        for (const bool pieces : {true, false}) {
            CAPTURE(whole);
            CAPTURE(pieces);
            ClientLab lab(Kernel::kKind);
            Asked asked(lab.engine());
            REQUIRE(!asked.request.set_method("POST"));
            REQUIRE(!asked.request.set_content(content));
            lab.ask(asked);
            RawPeer peer = lab.accept();
            REQUIRE(lab.run_until([&] { return peer.unread() > 1000; }));
            const std::string response =
                "HTTP/1.1 413 Content Too Large\r\nContent-Length: 6000\r\n\r\n" + page;
            const std::string sent = response.substr(0, response.size() - (whole ? 0 : 1000));
            peer.send(std::string_view(sent).substr(0, 100));
            if (pieces) lab.engine().run_once(std::chrono::milliseconds(1));
            peer.send(std::string_view(sent).substr(100));
            peer.close();  // with unread bytes: a reset
            REQUIRE(lab.run_until([&] { return asked.end.done(); }));
            CHECK(asked.response.status() == 413);
            if (whole) {
                CHECK(asked.end.ended() == success(page.size()));
                CHECK(asked.response.content() == page);
            } else {
                CHECK(asked.end.ended().error);
                CHECK(asked.end.ended().count == page.size() - 1000);
                CHECK(asked.response.content() == page.substr(0, page.size() - 1000));
            }
        }
    }
}

TEST_CASE_TEMPLATE("bytes received before a reset can be read although a write has failed", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    const std::string answer = pattern(3000, 3);
    fixture.peer().send(answer);
    fixture.peer().close();
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended().error == Errc::connection_reset);
    CHECK(write.ended().count > 0);
    CHECK(fixture.follow_up() == failure(Errc::closed));
    std::string in(5000, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::closed, answer.size()));
    CHECK(in.substr(0, answer.size()) == answer);
    Operation more(fixture.engine(), in);
    fixture.connection().read(more.aio);
    REQUIRE(fixture.run_until_done(more));
    CHECK(more.ended() == failure(Errc::closed));
    CHECK(fixture.connection().stream().native_handle() == -1);
}

// Content of many entries is sent in pieces, and the reset may come at any of them.
TEST_CASE("bytes received before a reset can be read whichever piece of the content fails") {
    constexpr std::size_t kEntries = 20;
    for (std::size_t room = 1; room < kEntries; ++room) {
        CAPTURE(room);
        SimKernel kernel(1);
        Engine engine(kernel);
        Pipe up, down;
        http::Connection connection(std::make_unique<PipeStream>(engine, down, up));
        PipeStream server(engine, up, down);
        http::Request request("http://h/");
        REQUIRE(!request.set_method("POST"));
        REQUIRE(!request.headers().set("Content-Length", std::to_string(kEntries)));
        Operation head(engine);
        connection.write_request(request, head.aio);
        REQUIRE(run_until(engine, [&] { return head.done(); }));
        up.limit(up.taken().size() + room);
        char byte = 'x';
        const std::vector<iovec> entries(kEntries, iovec{&byte, 1});
        Operation write(engine);
        REQUIRE(!write.aio.set_iov(entries));
        connection.write_content().write(write.aio);
        Operation answering(engine, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        server.write_all(answering.aio);
        run_some(engine);
        CHECK(write.ended() == kPending);
        server.close();
        REQUIRE(run_until(engine, [&] { return write.done(); }));
        CHECK(write.ended() == failure(Errc::connection_reset, room));
        http::Response response;
        Operation read(engine);
        connection.read_response(response, read.aio);
        REQUIRE(run_until(engine, [&] { return read.done(); }));
        CHECK(read.ended() == success(0));
        CHECK(response.status() == 413);
    }
}

}  // namespace uaio::http_client_early_test
