// easy::Connection through proxies with real TLS: between it and the socket are nested tls streams,
// and streams with a prefix.
#include <uaio/easy.h>

#include "tests/support/easy_ends.h"
#include "tests/support/tls/proxy_fixture.h"

#include <optional>
#include <span>
#include <vector>

namespace uaio::easy_proxy_tls_test {

// An engine with a ProxyFixture, and an easy connection to its server.
struct Visit {
    Visit(KernelKind kind, bool secure_target, bool secure_proxy, const std::string& early = {}) {
        if (kind == OnSim::kKind) kernel.emplace(1);
        kernel ? engine.emplace(*kernel) : engine.emplace(options_on(kind));
        fixture.emplace(*engine, secure_target, secure_proxy, early);
        connection.emplace(*engine);
    }
    ~Visit() { connection.reset(); }

    void connect() {
        Operation connect(*engine);
        connection->connect(fixture->target, fixture->options, connect.aio);
        REQUIRE(run_until(*engine, [&] { return connect.done(); }));
        REQUIRE(connect.ended() == success(0));
    }
    Transferred try_send(std::string_view text) {
        return connection->try_send(std::as_bytes(std::span(text.data(), text.size())));
    }
    // The result of an attempt; appends the bytes to `got`.
    Transferred try_receive(std::size_t size, std::string& got) {
        std::string room(size, '\0');
        const Transferred result = connection->try_receive(std::as_writable_bytes(std::span(room)));
        got.append(room, 0, result.count);
        return result;
    }
    Ended wait_for(Direction direction) {
        Operation wait(*engine);
        connection->wait_for(direction, wait.aio);
        REQUIRE(run_until(*engine, [&] { return wait.done(); }));
        return wait.ended();
    }
    // Sends all of `out` and receives `size` bytes, by alternate attempts.
    std::string exchange(std::string_view out, std::size_t size) {
        std::string got;
        while (!out.empty() || got.size() < size) {
            const Transferred sent = try_send(out.substr(0, 7001));
            out.remove_prefix(sent.count);
            const Transferred received = try_receive(5003, got);
            REQUIRE((!sent.error || sent == kWouldBlock));
            REQUIRE((!received.error || received == kWouldBlock));
            // If nothing was sent or received, the connection is readable.
            if (sent.count + received.count == 0) {
                REQUIRE(wait_for(Direction::receive) == success(0));
            }
        }
        return got;
    }

    std::optional<SimKernel> kernel;
    std::optional<Engine> engine;
    std::optional<ProxyFixture> fixture;
    std::optional<easy::Connection> connection;
};

TEST_CASE_TEMPLATE("easy tls: attempts transfer 300,000 bytes both ways with TLS in TLS (57)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    const std::string out = pattern(300'000);
    for (const bool secure_target : {true, false}) {
        CAPTURE(secure_target);
        Visit visit(Kernel::kKind, secure_target, true);
        visit.connect();
        const std::string wanted = std::string(kGreeting) + out;
        CHECK(visit.exchange(out, wanted.size()) == wanted);
        std::string more;
        CHECK(visit.try_receive(1, more) == kWouldBlock);
        CHECK(visit.connection->report().proxy_status == 200);
        visit.connection->close();
        CHECK(visit.try_send("more") == refused(Errc::not_connected));
    }
}

TEST_CASE_TEMPLATE("easy tls: bytes behind a proxy's response are received first, and once", Kernel,
                   OnLinux, OnPoll, OnSim) {
    for (const bool secure_proxy : {true, false}) {
        CAPTURE(secure_proxy);
        Visit visit(Kernel::kKind, false, secure_proxy, "early bytes ");
        visit.connect();
        std::string got;
        CHECK(visit.try_receive(3, got) == transferred(3));
        CHECK(visit.wait_for(Direction::receive) == success(0));
        CHECK(visit.try_send("and back") == transferred(8));
        std::string room(4, '\0');
        Operation receive(*visit.engine, room);
        visit.connection->receive_all(receive.aio);
        REQUIRE(run_until(*visit.engine, [&] { return receive.done(); }));
        CHECK(receive.ended() == success(4));
        got += room;
        CHECK(got == "early b");
        const std::string wanted = "early bytes " + std::string(kGreeting) + "and back";
        CHECK(got + visit.exchange("", wanted.size() - got.size()) == wanted);
    }
}

TEST_CASE_TEMPLATE("easy tls: attempts work through a proxy whose first address refuses (67)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    for (const bool secure_target : {true, false}) {
        CAPTURE(secure_target);
        const std::string early = secure_target ? "" : "early";
        Visit visit(Kernel::kKind, secure_target, true, early);
        std::string& proxy = visit.fixture->options.resolve[1];
        proxy.insert(proxy.rfind(':') + 1, "127.0.0.2,");
        visit.connect();
        CHECK(visit.connection->report().attempts == 2);
        const std::string wanted = early + std::string(kGreeting) + "echo";
        CHECK(visit.exchange("echo", wanted.size()) == wanted);
    }
}

}  // namespace uaio::easy_proxy_tls_test
