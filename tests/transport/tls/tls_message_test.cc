// TLS messages without data: new keys, tickets, alerts, and too many of them.
#include "tests/support/tls/ends.h"
#include "tests/support/tls/openssl_access.h"

namespace uaio::tls_message_test {

using tls::Version;

// Bytes of data from `from` to `to`.
void carry(TlsEnds& ends, Stream& from, Stream& to, std::size_t size) {
    const std::string out = pattern(size);
    std::string in(size, '\0');
    Operation write(ends.engine(), out);
    Operation read(ends.engine(), in);
    from.write_all(write.aio);
    to.read_all(read.aio);
    REQUIRE(ends.run_until([&] { return write.done() && read.done(); }));
    CHECK(write.ended() == success(size));
    CHECK(in == out);
}

TEST_CASE("a key is replaced before it reaches its limit of records") {
    tls::ContextOptions options = client_options();
    options.records_per_key = 100;
    TlsEnds ends{tls::Context(options), tls::Context(server_options())};
    ends.joined();
    unsigned updates = 0;
    count_key_updates(ends.server(), updates);
    carry(ends, ends.client(), ends.server(), 20 << 20);
    // 1280 records of 16 KiB, after some small ones.
    CHECK(updates >= 12);
    CHECK(updates <= 14);
    carry(ends, ends.server(), ends.client(), 100'000);
}

TEST_CASE("a write interrupted at a key update has an exact count") {
    tls::ContextOptions options = client_options();
    options.records_per_key = 3;
    TlsEnds ends{tls::Context(options), tls::Context(server_options())};
    ends.joined();
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + 50'000);
    const std::string data = pattern(100'000);
    Operation write(ends.engine(), data);
    ends.client().write_all(write.aio);
    ends.run_some();
    write.aio.cancel();
    REQUIRE(ends.run_until([&] { return write.done(); }));
    CHECK(write.ended().error == Errc::canceled);
    std::string in(data.size(), '\0');
    CHECK(ends.read_all(ends.server(), in) == failure(Errc::truncated, write.ended().count));
    CHECK(data.starts_with(in.substr(0, write.ended().count)));
}

TEST_CASE("a KeyUpdate request is answered, also without a write") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    REQUIRE(update_key(ends.server(), KeyUpdate::both));
    ends.run_some();
    CHECK(ends.to_server().taken().size() > before);
    carry(ends, ends.client(), ends.server(), 100'000);
    carry(ends, ends.server(), ends.client(), 100'000);
}

TEST_CASE("key updates during transfers both ways lose no byte") {
    TlsEnds ends;
    ends.joined();
    for (int round = 0; round < 20; ++round) {
        REQUIRE(update_key(round % 2 == 0 ? ends.server() : ends.client(), KeyUpdate::both));
        carry(ends, ends.client(), ends.server(), 40'000);
        carry(ends, ends.server(), ends.client(), 40'000);
    }
}

TEST_CASE("a peer that repeats messages without data is reported as a flood") {
    TlsEnds ends;
    ends.joined();
    std::string in(10, '\0');
    for (int round = 0; round < 90; ++round)
        REQUIRE(update_key(ends.server(), KeyUpdate::own));
    carry(ends, ends.server(), ends.client(), 10);  // data restarts the count
    for (int round = 0; round < 200; ++round)
        REQUIRE(update_key(ends.server(), KeyUpdate::own));
    CHECK(ends.read(ends.client(), in) == failure(TlsErrc::flood));
    CHECK(ends.read(ends.client(), in) == failure(TlsErrc::flood));
    CHECK(ends.write_all(ends.client(), "more") == failure(TlsErrc::flood));
}

TEST_CASE("a corrupted record ends the stream on both sides for every later call") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        TlsEnds ends(version);
        ends.joined();
        ends.run_some();
        ends.to_server().insert(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
        std::string in(10, '\0');
        CHECK(ends.read(ends.server(), in) == failure(TlsErrc::bad_record));
        CHECK(ends.read(ends.server(), in) == failure(TlsErrc::bad_record));
        CHECK(ends.write_all(ends.server(), "more") == failure(TlsErrc::bad_record));
        // The other side gets an alert.
        CHECK(ends.read(ends.client(), in) == failure(TlsErrc::bad_record));
    }
}

TEST_CASE("tickets are processed without a read, and resume the next connection") {
    const tls::Context client(client_options());
    const tls::Context server(server_options());
    for (int round = 0; round < 3; ++round) {
        TlsEnds ends(client, server);
        ends.joined();
        ends.run_some();
        CHECK(tls::details(ends.client()).resumed == (round > 0));
        carry(ends, ends.client(), ends.server(), 1000);
    }
    CHECK(client.resumed() == 2);
    CHECK(client.handshakes() == 3);
    CHECK(server.resumed() == 2);
}

TEST_CASE("a session is resumed only under its own session_key") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        const tls::Context client(client_options(version));
        const tls::Context server(server_options(version));
        for (const char* const place : {"443", "8443", "443"}) {
            TlsEnds ends(client, server);
            ends.shake_hands({.server_name = "localhost", .session_key = place});
            ends.run_some();
        }
        CHECK(client.resumed() == 1);
    }
}

}  // namespace uaio::tls_message_test
