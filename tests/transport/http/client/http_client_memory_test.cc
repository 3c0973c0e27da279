// The memory of the responses of an http::Client: a kept connection allocates none, and reads the
// head of a response where it is wanted; a request that fails leaves nothing there.
#include <uaio/argument_error.h>
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/allocations.h"
#include "tests/support/client_lab.h"
#include "tests/support/server_fixture.h"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::http_client_memory_test {

constexpr std::size_t kClients = 8;
constexpr std::size_t kWarm = 3;  // requests of each that may allocate
constexpr std::size_t kRequests = 10;

// The blocks that the thread allocates from the moment when all are warm until all have finished.
struct Count {
    http::Client& client;
    std::size_t warm = 0;
    std::size_t finished = 0;
    std::size_t failed = 0;
    std::uint64_t allocated = 0;
};

// Sends one request after another.
class Asking {
public:
    Asking(Count& count, Engine& engine)
        : count_(count), aio_(engine, [this](Aio&) { on_response(); }) {
        ask();
    }

    http::Response response;

private:
    void ask() { count_.client.transact(request_, response, aio_); }
    void on_response() {
        if (aio_.result()) ++count_.failed;
        if (++answered_ == kWarm && ++count_.warm == kClients)
            count_.allocated = thread_allocations();
        if (answered_ < kRequests) return ask();
        if (++count_.finished == kClients)
            count_.allocated = thread_allocations() - count_.allocated;
    }

    Count& count_;
    http::Request request_{"http://127.0.0.1/"};
    std::size_t answered_ = 0;
    Aio aio_;
};

TEST_CASE_TEMPLATE("a client allocates nothing for later requests, several at a time", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ServerFixture fixture(Kernel::kKind);
    fixture.server().handle("GET", "/", http::fixed_content(std::string(100, 'x'), "text/plain"));
    fixture.listen();
    tcp::Connector connector(fixture.endpoint());
    http::Client client(connector, {.connections = kClients});
    Count count{client};
    std::vector<std::unique_ptr<Asking>> all;
    for (std::size_t i = 0; i < kClients; ++i)
        all.push_back(std::make_unique<Asking>(count, fixture.engine()));
    REQUIRE(fixture.run_until([&] { return count.finished == kClients; }));
    CHECK(count.failed == 0);
    CHECK(count.allocated == 0);
    CHECK(client.statistics().connections == kClients);
    for (const auto& asking : all)
        CHECK(asking->response.content() == std::string(100, 'x'));
}

TEST_CASE_TEMPLATE("a response that arrives while its request is cancelled is dropped", Kernel,
                   OnLinux, OnPoll) {
    for (const bool kept : {false, true}) {
        CAPTURE(kept);
        ClientLab lab(Kernel::kKind);
        Asked first(lab.engine());
        lab.ask(first);
        RawPeer peer = lab.accept();
        lab.expect(peer, ClientLab::kEnd);
        if (kept) CHECK(lab.answer(first, peer, ClientLab::kFive) == success(5));
        Asked second(lab.engine(), "http://h/second");
        Asked& asked = kept ? second : first;
        if (kept) {
            lab.ask(second);
            REQUIRE(lab.run_until([&] {
                peer.read_some();
                return peer.received().find("GET /second") != std::string::npos;
            }));
        }
        peer.send("HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 5\r\n\r\nhello");
        asked.end.aio.cancel();
        REQUIRE(lab.run_until([&] { return asked.end.done(); }));
        CHECK(asked.end.ended() == failure(Errc::canceled));
        CHECK(asked.response.status() == 200);
        CHECK(asked.response.headers().empty());
        CHECK(asked.response.content().empty());
    }
}

TEST_CASE_TEMPLATE("a response of a refused request is not used after its end", Kernel, OnLinux,
                   OnPoll) {
    ClientLab lab(Kernel::kKind);
    Asked first(lab.engine());
    lab.ask(first);
    RawPeer peer = lab.accept();
    lab.expect(peer, ClientLab::kEnd);
    CHECK(lab.answer(first, peer, ClientLab::kFive) == success(5));
    Asked invalid(lab.engine());
    CHECK(invalid.request.headers().erase("Host") == 1);
    lab.ask(invalid);
    REQUIRE(lab.run_until([&] { return invalid.end.done(); }));
    CHECK(invalid.end.ended() == failure(ArgumentErrc::invalid_message));
    peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(lab.run_until([&] { return lab.client().statistics().discarded == 1; }));
    CHECK(invalid.response.status() == 200);
    CHECK(invalid.response.headers().empty());
}

}  // namespace uaio::http_client_memory_test
