// fixed_content(): its responses to usual requests, whose head is serialised once, and to others.
#include <uaio/http.h>
#include <uaio/provider.h>
#include <uaio/sim.h>

#include "tests/support/one_acceptor.h"
#include "tests/support/server_fixture.h"
#include "tests/support/turns.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

namespace uaio::http_fixed_content_test {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

std::string without_date(std::string response) {
    const std::size_t at = response.find("Date: ");
    return at == response.npos ? "no date" : response.erase(at, response.find('\n', at) + 1 - at);
}

TEST_CASE_TEMPLATE("fixed_content() suits its head to the request and the connection", Kernel,
                   OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind, {.requests_per_connection = 2});
    fixture.server().handle("", "/", http::fixed_content("hi", "text/x"));
    fixture.listen();
    const std::string fields = "Content-Length: 2\r\nContent-Type: text/x\r\n";
    const std::string head = "HTTP/1.1 200 OK\r\n" + fields;
    RawPeer peer = fixture.connect();
    peer.send(kGet);
    CHECK(without_date(fixture.receive(peer, "hi")) == head + "\r\nhi");
    CHECK(without_date(fixture.get("/")) == head + "Connection: close\r\n\r\nhi");
    CHECK(without_date(fixture.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
              .starts_with(head + "Connection: keep-alive\r\n\r\nhi"));
    CHECK(without_date(fixture.ask("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) ==
          head + "Connection: close\r\n\r\n");
    CHECK(without_date(fixture.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
                                   "Upgrade: x\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"))
              .starts_with(head + "\r\nhi"));
    // The second request of a connection is the last.
    peer.send(kGet);
    CHECK(fixture.receive_to_end(peer).ends_with("Connection: close\r\n\r\nhi"));
}

TEST_CASE_TEMPLATE("the fixed responses of one connection alternate", Kernel, OnLinux, OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    const std::string large(5000, 'x');
    fixture.server().handle("", "/a", http::fixed_content("one", "text/x"));
    fixture.server().handle("", "/b", http::fixed_content("two", "text/y"));
    fixture.server().handle("", "/c", http::fixed_content(large, "text/x"));
    fixture.listen();
    RawPeer peer = fixture.connect();
    for (int round = 0; round < 2; ++round) {
        for (const char* const target : {"/a", "/a", "/b", "/c", "/b", "/%61"}) {
            const std::string_view path = target;
            const std::string content = path == "/c" ? large : path == "/b" ? "two" : "one";
            const std::string type = path == "/b" ? "text/y" : "text/x";
            const std::string request = "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
            CHECK(without_date(fixture.exchange(peer, request, content)) ==
                  "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(content.size()) +
                      "\r\nContent-Type: " + type + "\r\n\r\n" + content);
        }
    }
}

TEST_CASE_TEMPLATE("fixed_content() of no bytes is a response without content", Kernel, OnLinux,
                   OnPoll) {
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("", "/", http::fixed_content("", "text/x"));
    fixture.listen();
    RawPeer peer = fixture.connect();
    peer.send(kGet);
    CHECK(without_date(fixture.receive(peer, "\r\n\r\n")) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/x\r\n\r\n");
    peer.send(kGet);
    REQUIRE(fixture.run_until([&] { return fixture.server().requests() == 2; }));
}

// Delivers kGet to the first read. Holds the other operations, also after a close, as the kernel
// may.
class SlowStream final : public Stream {
public:
    // The queues must outlive the stream.
    SlowStream(Engine& engine, AioQueue& reads, AioQueue& writes)
        : engine_(engine), reads_(reads), writes_(writes) {}

    void read(Aio& aio) override { Provider::submit(engine_, aio, &start_read, this); }
    void read_all(Aio& aio) override { read(aio); }
    void write(Aio& aio) override { Provider::submit(engine_, aio, &start_held, &writes_); }
    void write_all(Aio& aio) override { write(aio); }
    void close() noexcept override {}
    int native_handle() const noexcept override { return -1; }

private:
    static void hold(Aio& aio, AioQueue& queue) noexcept {
        queue.push(aio);
        Provider::park_untracked(aio, [](Aio&) noexcept {});
    }
    static void start_held(Aio& aio) noexcept {
        hold(aio, *static_cast<AioQueue*>(Provider::owner(aio)));
    }
    static void start_read(Aio& aio) noexcept {
        SlowStream& self = *static_cast<SlowStream*>(Provider::owner(aio));
        if (std::exchange(self.delivered_, true)) return hold(aio, self.reads_);
        std::memcpy(Provider::cursor(aio).rest().front().iov_base, kGet.data(), kGet.size());
        Provider::advance(aio, kGet.size());
        Provider::finish(aio);
    }

    Engine& engine_;
    AioQueue& reads_;
    AioQueue& writes_;
    bool delivered_ = false;
};

TEST_CASE("the content of fixed_content() outlives the server while the stream sends it") {
    constexpr std::size_t kSize = 1 << 20;  // malloc(3) unmaps it when it is freed
    SimKernel kernel(1);
    Engine engine(kernel);
    AioQueue reads;
    AioQueue writes;
    std::optional<http::Server> server(std::in_place, engine);
    server->handle("GET", "/", http::fixed_content(std::string(kSize, 'x'), "text/x"));
    server->listen([&](Engine& on) {
        return std::make_unique<OneAcceptor>(on, std::make_unique<SlowStream>(on, reads, writes));
    });
    REQUIRE(run_until(engine, [&] { return !writes.empty(); }));
    server.reset();
    std::size_t same = 0;
    for (const iovec& entry : Provider::cursor(*writes.front()).rest()) {
        const std::string_view bytes(static_cast<const char*>(entry.iov_base), entry.iov_len);
        same = static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 'x'));
    }
    CHECK(same == kSize);
    for (AioQueue* queue : {&reads, &writes}) {
        while (Aio* const aio = queue->pop())
            Provider::finish(*aio, Errc::closed);
    }
    REQUIRE(run_until(engine, [&] { return engine.statistics().in_flight == 0; }));
}

}  // namespace uaio::http_fixed_content_test
