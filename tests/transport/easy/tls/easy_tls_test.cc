// easy::Connection over TLS. The numbers in parentheses are those of the scenarios in which
// libcurl's behaviour was recorded.
#include <uaio/easy.h>

#include "tests/support/tls/openssl_access.h"
#include "tests/support/tls/secured.h"

#include <sys/socket.h>

#include <doctest/doctest.h>

namespace uaio::easy_tls_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE(
    "easy tls: bytes are transferred both ways, and session tickets are not data (25, 26)", Kernel,
    OnLinux, OnPoll, OnSim) {
    for (const tls::Version version : {tls::Version::tls_1_2, tls::Version::tls_1_3}) {
        Secured ends(Kernel::kKind, version);
        ends.try_receive(100, kWouldBlock);
        Operation wait(*ends.engine);
        ends.connection->wait_for(Direction::receive, wait.aio);
        run_some(*ends.engine);
        CHECK(!wait.done());
        CHECK(ends.try_send("hello") == transferred(5));
        CHECK(ends.try_send("") == transferred(0));
        CHECK(ends.served(5) == "hello");
        CHECK(!wait.done());
        ends.serve("world");
        REQUIRE(ends.run_until([&] { return wait.done(); }));
        CHECK(wait.ended() == success(0));
        CHECK(ends.try_receive(3, transferred(3)) == "wor");
        CHECK(ends.wait_for(Direction::receive) == success(0));  // the rest of the record
        CHECK(ends.try_receive(3, transferred(2)) == "ld");
        ends.try_receive(100, kWouldBlock);
    }
}

TEST_CASE_TEMPLATE("easy tls: counted bytes arrive once, whatever is sent next (31 to 35)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Secured ends(Kernel::kKind);
    const std::string bytes = pattern(1'000'000);
    std::string got(bytes.size(), '\0');
    std::string_view rest = bytes;
    unsigned blocked = 0;
    for (Transferred result; !(result = ends.try_send(rest)).error;)
        rest.remove_prefix(result.count);
    REQUIRE(!rest.empty());  // the server does not read yet
    CHECK(ends.try_send(rest.substr(0, 1)) == kWouldBlock);
    ends.try_receive(10, kWouldBlock);
    Operation read(*ends.engine, got);
    ends.server->read_all(read.aio);
    while (!rest.empty()) {
        // Each attempt has another address and another length.
        const std::string copy(rest.substr(0, 1 + (blocked * 7919) % 70'000));
        const Transferred result = ends.try_send(copy);
        rest.remove_prefix(result.count);
        if (!result.error) continue;
        REQUIRE(result == kWouldBlock);
        ++blocked;
        REQUIRE(ends.wait_for(Direction::send) == success(0));
        REQUIRE(ends.try_send(rest.substr(0, 1)) == transferred(1));  // it is writable
        rest.remove_prefix(1);
    }
    CHECK(blocked > 0);
    REQUIRE(ends.run_until([&] { return read.done(); }));
    CHECK(read.ended() == success(bytes.size()));
    CHECK(got == bytes);
}

TEST_CASE_TEMPLATE("easy tls: attempts keep the order of sends with Aios", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Secured ends(Kernel::kKind);
    const std::string first = pattern(300'000);
    const std::string second = pattern(300'000, 5);
    std::string_view rest = first;
    for (Transferred result; !(result = ends.try_send(rest)).error;)
        rest.remove_prefix(result.count);
    Operation send(*ends.engine, second);
    ends.connection->send_all(send.aio);
    CHECK(ends.try_send("overtaking") == kWouldBlock);
    const std::size_t sent = first.size() - rest.size();
    CHECK(ends.served(sent) == first.substr(0, sent));
    CHECK(ends.served(second.size()) == second);
    REQUIRE(ends.run_until([&] { return send.done(); }));
    CHECK(send.ended() == success(second.size()));
    CHECK(ends.wait_for(Direction::send) == success(0));
    CHECK(ends.try_send("behind") == transferred(6));
    CHECK(ends.served(6) == "behind");
}

TEST_CASE_TEMPLATE("easy tls: attempts work after a cancelled receive", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Secured ends(Kernel::kKind);
    std::string room(5, '\0');
    Operation receive(*ends.engine, room);
    ends.connection->receive(receive.aio);
    ends.try_receive(5, kWouldBlock);
    run_some(*ends.engine);
    receive.aio.cancel();
    REQUIRE(ends.run_until([&] { return receive.done(); }));
    CHECK(receive.ended() == failure(Errc::canceled));
    run_some(*ends.engine);
    ends.serve("first");
    CHECK(ends.wait_for(Direction::receive) == success(0));
    CHECK(ends.try_receive(5, transferred(5)) == "first");
    ends.serve("second");
    receive.forget();
    ends.connection->receive(receive.aio);
    REQUIRE(ends.run_until([&] { return receive.done(); }));
    CHECK(receive.ended() == success(5));
    CHECK(ends.try_receive(5, transferred(1)) == "d");
}

TEST_CASE_TEMPLATE("easy tls: a KeyUpdate loses no byte (40)", Kernel, OnLinux, OnPoll, OnSim) {
    Secured ends(Kernel::kKind);
    unsigned keys = 0;
    count_key_updates(*ends.server, keys);
    REQUIRE(update_key(*ends.server, KeyUpdate::both));
    ends.serve("with a new key");
    CHECK(ends.wait_for(Direction::receive) == success(0));
    CHECK(ends.try_receive(100, transferred(14)) == "with a new key");
    CHECK(ends.try_send("and with another") == transferred(16));
    CHECK(ends.served(16) == "and with another");
    CHECK(keys == 1);
}

TEST_CASE_TEMPLATE("easy tls: an end with close_notify and one without are two results (27, 28)",
                   Kernel, OnLinux, OnPoll) {
    for (const bool in_order : {true, false}) {
        Secured ends(Kernel::kKind);
        ends.serve("bytes");
        if (in_order) {
            ends.server->close();
        } else {
            REQUIRE(::shutdown(ends.server->native_handle(), SHUT_WR) == 0);
        }
        CHECK(ends.wait_for(Direction::receive) == success(0));
        CHECK(ends.try_receive(100, transferred(5)) == "bytes");
        const Transferred end = refused(in_order ? Errc::end_of_stream : Errc::truncated);
        for (int i = 0; i < 3; ++i) {
            CHECK(ends.wait_for(Direction::receive) == success(0));
            ends.try_receive(100, end);
        }
        CHECK(ends.try_send("hello") == transferred(5));
    }
}

TEST_CASE_TEMPLATE("easy tls: close ends pending operations and sends close_notify", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Secured ends(Kernel::kKind);
    Operation wait(*ends.engine);
    ends.connection->wait_for(Direction::receive, wait.aio);
    CHECK(ends.try_send("bye") == transferred(3));
    ends.connection->close();
    REQUIRE(ends.run_until([&] { return wait.done(); }));
    CHECK(wait.ended() == failure(Errc::closed));
    CHECK(ends.try_send("more") == refused(Errc::not_connected));
    CHECK(ends.served(3) == "bye");
    std::string room(1, '\0');
    Operation read(*ends.engine, room);
    ends.server->read(read.aio);
    REQUIRE(ends.run_until([&] { return read.done(); }));
    CHECK(read.ended() == failure(Errc::end_of_stream));
}

}  // namespace uaio::easy_tls_test
