// The memory cost of received messages: it follows the received bytes, not the lengths that a peer
// announced, and little of it is kept.
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/kernels.h"
#include "tests/support/server_fixture.h"
#include "transport/http/format/message_reader.h"

#include <poll.h>

#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_memory_test {

using http::ContentBuffer;
using http::Exchange;
using http::MessageReader;
using http::Request;
using http::Response;

constexpr std::size_t kAnnounced = 1 << 20;

TEST_CASE_TEMPLATE("a server allocates for the content received, not for Content-Length", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    constexpr std::size_t kClients = 50;
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("POST", "/", [](Exchange& exchange) { exchange.respond("got it"); });
    fixture.listen();
    const std::int64_t before = live_bytes();
    {
        std::vector<RawPeer> peers;
        for (std::size_t i = 0; i < kClients; ++i) {
            peers.push_back(fixture.connect());
            // The server's 100 Continue shows that it has begun to collect.
            peers.back().send(
                "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                "Content-Length: " +
                std::to_string(kAnnounced) + "\r\n\r\n");
            fixture.receive(peers.back(), "\r\n\r\n");
        }
        const std::int64_t each = (live_bytes() - before) / std::int64_t{kClients};
        CHECK(each < 32 * 1024);
    }
    REQUIRE(fixture.run_until([&] { return fixture.server().connections() == 0; }));
    const std::int64_t kept = (live_bytes() - before) / std::int64_t{kClients};
    CHECK(kept < 16 * 1024);
}

TEST_CASE_TEMPLATE("a server releases most of the memory of a large request and a large response",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("POST", "/", [](Exchange& exchange) {
        Response& response = exchange.response();
        static_cast<void>(response.copy_content(std::string(kAnnounced, 'x')));
        response.clear_content();  // keeps its memory
        exchange.respond();
    });
    fixture.listen();
    RawPeer peer = fixture.connect();
    const auto ask = [&](std::size_t size) {
        const std::size_t answered = fixture.server().requests();
        const std::string request =
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
            std::string(size, 'c');
        std::size_t sent = 0;
        REQUIRE(fixture.run_until([&] {
            sent += peer.send_some(std::string_view(request).substr(sent));
            peer.read_some();
            return fixture.server().requests() > answered;
        }));
    };
    ask(1);
    const std::int64_t before = live_bytes();
    ask(kAnnounced - 1);
    ask(1);
    CHECK(live_bytes() - before < 128 * 1024);
}

TEST_CASE_TEMPLATE("content that is collected in many pieces arrives whole", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.content_limit = 300000});
    fixture.server().handle(
        "POST", "/", [](Exchange& exchange) { exchange.respond(exchange.request().content()); });
    fixture.listen();
    for (const std::size_t size : {4095, 4096, 4097, 8193, 70000, 300000}) {
        const std::string content = pattern(size);
        for (const bool chunked : {false, true}) {
            std::string request = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
            if (chunked) {
                request += "Transfer-Encoding: chunked\r\n\r\n";
                for (std::size_t at = 0; at < size; at += 1000) {
                    const std::string piece = content.substr(at, 1000);
                    char line[16];
                    std::snprintf(line, sizeof line, "%zx\r\n", piece.size());
                    request += line + piece + "\r\n";
                }
                request += "0\r\n\r\n";
            } else {
                request += "Content-Length: " + std::to_string(size) + "\r\n\r\n" + content;
            }
            RawPeer peer = fixture.connect();
            std::size_t sent = 0;
            REQUIRE(fixture.run_until([&] {
                sent += peer.send_some(std::string_view(request).substr(sent));
                peer.read_some();
                return peer.end() != RawPeer::End::open;
            }));
            CHECK(content_of(peer.received()) == content);
        }
    }
}

// One request of a client, over a connection that a raw peer serves.
struct RequestFixture {
    explicit RequestFixture(KernelKind kind)
        : engine(options_on(kind)), connector(listener.endpoint()), client(connector) {}

    void begin(Request& request, Response& response, Operation& operation) {
        client.transact(request, response, operation.aio);
        if (!peer) {
            REQUIRE(run_until(engine, [&] {
                pollfd entry{listener.fd(), POLLIN, 0};
                return ::poll(&entry, 1, 0) == 1;
            }));
            peer.emplace(RawPeer::accept_from(listener.fd()));
        }
        const std::size_t read = peer->received().size();
        REQUIRE(run_until(engine, [&] {
            peer->read_some();
            return peer->received().size() > read && peer->received().ends_with("\r\n\r\n");
        }));
    }
    void answer(std::string_view response, const Operation& operation) {
        std::size_t sent = 0;
        REQUIRE(run_until(engine, [&] {
            sent += peer->send_some(response.substr(sent));
            return operation.done();
        }));
    }

    RawListener listener;
    Engine engine;
    tcp::Connector connector;
    http::Client client;
    std::optional<RawPeer> peer;
};

TEST_CASE_TEMPLATE("a client allocates for the content received, not for Content-Length", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    RequestFixture fixture(Kernel::kKind);
    Request request("http://h/");
    Response response;
    Operation operation(fixture.engine);
    fixture.begin(request, response, operation);
    const std::int64_t before = live_bytes();
    fixture.peer->send("HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n");
    run_some(fixture.engine);
    CHECK(live_bytes() - before < 32 * 1024);
    operation.aio.cancel();
    REQUIRE(run_until(fixture.engine, [&] { return operation.done(); }));
}

TEST_CASE_TEMPLATE("a client's connection releases most of the memory of a large response", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    RequestFixture fixture(Kernel::kKind);
    const std::string large =
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000000, 'x');
    Request request("http://h/");
    std::int64_t before = 0;
    {
        Response response;
        for (const std::string_view answer :
             {std::string_view("HTTP/1.1 204 No Content\r\n\r\n"), std::string_view(large),
              std::string_view("HTTP/1.1 204 No Content\r\n\r\n")}) {
            Operation operation(fixture.engine);
            fixture.begin(request, response, operation);
            if (before == 0) before = live_bytes();
            fixture.answer(answer, operation);
            CHECK(operation.ended().error == std::error_code());
        }
    }
    CHECK(live_bytes() - before < 128 * 1024);
}

TEST_CASE("a content buffer grows with the bytes received, up to the requested size") {
    Request message;
    std::size_t have = 0;
    std::size_t rooms = 0;
    constexpr std::size_t kWanted = 10 << 20;
    while (have < kWanted) {
        const std::span<char> room = MessageReader::content_room(message, have, kWanted - have);
        REQUIRE(!room.empty());
        CHECK(room.size() <= std::max<std::size_t>(have, 4096));
        CHECK(room.data() == MessageReader::content(message).data() + have);
        have += room.size();
        ++rooms;
    }
    CHECK(have == kWanted);
    CHECK(rooms < 20);
    CHECK(MessageReader::capacity(message) < kWanted + 1024);
    CHECK(MessageReader::content_room(message, 5, 0).size() == 1);
}

TEST_CASE("a content buffer is copied, moved, truncated and assigned a part of itself") {
    ContentBuffer buffer;
    CHECK(buffer.view().empty());
    buffer.assign("hello world");
    const char* const place = buffer.data();
    buffer.assign(buffer.view().substr(6));
    CHECK(buffer.view() == "world");
    CHECK(buffer.data() == place);
    ContentBuffer copy(buffer);
    copy = copy;
    CHECK(copy.view() == "world");
    copy.data()[0] = 'W';
    CHECK(buffer.view() == "world");
    ContentBuffer moved(std::move(copy));
    CHECK(moved.view() == "World");
    buffer = std::move(moved);
    CHECK(buffer.view() == "World");
    buffer.resize(3);
    CHECK(buffer.view() == "Wor");
    buffer.reserve(100000);
    CHECK(buffer.view() == "Wor");
    CHECK(buffer.capacity() == 100000);
    buffer.clear();
    CHECK(buffer.view().empty());
    CHECK(buffer.capacity() == 100000);
    if (!kSanitized) CHECK_THROWS_AS(buffer.reserve(SIZE_MAX / 2), std::bad_alloc);
}

}  // namespace uaio::http_memory_test
