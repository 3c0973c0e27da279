// Interrupted writes of a tls stream: the bytes sent, the count, and later operations.
#include "tests/support/tls/ends.h"

#include <algorithm>
#include <vector>

namespace uaio::tls_write_test {

using namespace std::chrono_literals;
using tls::Version;

// Bytes of data in whole records among those that the pipe accepted.
std::size_t readable(TlsEnds& ends) {
    std::string in(1 << 20, '\0');
    const Ended ended = ends.read_all(ends.server(), in);
    CHECK(ended.error == Errc::truncated);
    return ended.count;
}

constexpr std::size_t kThreeRecords = 3000;  // bytes of data that make three small records

// The bytes of a write of three records that the pipe accepts.
std::size_t whole_write(Version version) {
    TlsEnds ends(version);
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    CHECK(ends.write_all(ends.client(), pattern(kThreeRecords)) == success(kThreeRecords));
    return ends.to_server().taken().size() - before;
}

// A write of three records, which are `whole` bytes, cancelled or expired once the pipe has
// accepted `room` bytes of them.
void cut_a_write(Version version, std::size_t whole, std::size_t room, bool expires) {
    CAPTURE(room);
    TlsEnds ends(version);
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    ends.to_server().limit(before + room);
    const std::string data = pattern(kThreeRecords);
    Operation write(ends.engine(), data);
    Operation queued(ends.engine(), "queued");
    if (expires) write.aio.set_timeout(5ms);
    ends.client().write_all(write.aio);
    ends.client().write_all(queued.aio);
    ends.run_some();
    if (!expires) write.aio.cancel();
    REQUIRE(ends.run_until([&] { return write.done(); }));
    if (room >= whole) {
        CHECK(write.ended() == success(data.size()));
        return;
    }
    const std::string at_callback = ends.to_server().taken();
    ends.to_server().limit(Pipe::kNever);
    ends.run_some();
    CHECK(ends.to_server().taken() == at_callback);
    CHECK(at_callback.size() == before + room);
    CHECK(write.ended().error == (expires ? Errc::timed_out : Errc::canceled));
    REQUIRE(ends.run_until([&] { return queued.done(); }));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(ends.write_all(ends.client(), "late") == failure(Errc::closed));
    CHECK(readable(ends) == write.ended().count);
    CHECK(ends.to_server().taken() == at_callback);
}

TEST_CASE("no byte of a tls write cancelled at any byte is sent after its callback") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        const std::size_t whole = whole_write(version);
        for (std::size_t room = 0; room < whole + 40; room += room < 100 ? 1 : 37)
            cut_a_write(version, whole, room, false);
        for (const std::size_t room : {whole - 1, whole})
            cut_a_write(version, whole, room, false);
    }
}

TEST_CASE("no byte of a tls write expired at any byte is sent after its callback") {
    const std::size_t whole = whole_write(Version::tls_1_3);
    for (std::size_t room = 0; room < whole + 100; room += room < 40 ? 1 : 97)
        cut_a_write(Version::tls_1_3, whole, room, true);
    for (const std::size_t room : {whole - 1, whole})
        cut_a_write(Version::tls_1_3, whole, room, true);
}

TEST_CASE("a tls write cancelled in the queue sends nothing and keeps the stream open") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + 10);
    const std::string data = pattern(100'000);
    Operation write(ends.engine(), data);
    Operation queued(ends.engine(), "queued");
    Operation last(ends.engine(), "last");
    ends.client().write_all(write.aio);
    ends.client().write_all(queued.aio);
    ends.client().write_all(last.aio);
    ends.run_some();
    queued.aio.cancel();
    REQUIRE(ends.run_until([&] { return queued.done(); }));
    CHECK(queued.ended() == failure(Errc::canceled));
    ends.to_server().limit(Pipe::kNever);
    std::string in(data.size() + 4, '\0');
    CHECK(ends.read_all(ends.server(), in) == success(in.size()));
    CHECK(in == data + "last");
    CHECK(write.ended() == success(data.size()));
    CHECK(last.ended() == success(4));
}

// Five writes that are sent together behind another one, interrupted once the pipe has accepted
// `room` bytes of them, by a cancel of one.
void cut_a_batch(Version version, std::size_t room, std::size_t canceled) {
    CAPTURE(room);
    CAPTURE(canceled);
    constexpr std::size_t kPart = 600;
    TlsEnds ends(version);
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    CHECK(ends.write_all(ends.client(), "first") == success(5));
    const std::size_t record = ends.to_server().taken().size() - before;
    ends.to_server().limit(before + 2 * record + room);
    const std::string data = pattern(5 * kPart);
    Operation first(ends.engine(), "first");
    ends.client().write_all(first.aio);
    std::vector<std::unique_ptr<Operation>> parts;
    for (std::size_t at = 0; at < data.size(); at += kPart) {
        const std::string_view part = std::string_view(data).substr(at, kPart);
        parts.push_back(std::make_unique<Operation>(ends.engine(), part));
        ends.client().write_all(parts.back()->aio);
    }
    ends.run_some();
    REQUIRE(first.done());
    parts[canceled]->aio.cancel();
    REQUIRE(ends.run_until(
        [&] { return std::ranges::all_of(parts, [](const auto& part) { return part->done(); }); }));
    const std::string at_callback = ends.to_server().taken();
    ends.to_server().limit(Pipe::kNever);
    ends.run_some();
    CHECK(ends.to_server().taken() == at_callback);
    std::size_t counted = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Ended ended = parts[i]->ended();
        CHECK(ended.calls == 1);
        // All earlier bytes were sent.
        CHECK((ended.count == 0 || counted == i * kPart));
        counted += ended.count;
        std::error_code wanted;
        if (ended.count < kPart) wanted = i == canceled ? Errc::canceled : Errc::closed;
        CHECK(ended.error == wanted);
    }
    if (counted < data.size()) CHECK(readable(ends) == 10 + counted);
}

TEST_CASE("tls writes that are sent together and cancelled at any byte each have an exact count") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        for (std::size_t room = 0; room < 3200; room += room < 40 ? 1 : 53)
            cut_a_batch(version, room, room % 5);
    }
}

TEST_CASE("queued small tls writes are sent in one record") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    const std::string data = pattern(500);
    Operation first(ends.engine(), "first");
    ends.client().write_all(first.aio);
    std::vector<std::unique_ptr<Operation>> parts;
    for (std::size_t at = 0; at < data.size(); at += 100) {
        const std::string_view part = std::string_view(data).substr(at, 100);
        parts.push_back(std::make_unique<Operation>(ends.engine(), part));
        ends.client().write_all(parts.back()->aio);
    }
    ends.run_some();
    for (const std::unique_ptr<Operation>& part : parts)
        CHECK(part->ended() == success(100));
    // Each record has a header of 5 bytes, a kind, and a tag of 16 (RFC 8446 5.2).
    CHECK(ends.to_server().taken().size() - before == 2 * 22 + 5 + data.size());
    std::string in(5 + data.size(), '\0');
    CHECK(ends.read_all(ends.server(), in) == success(in.size()));
    CHECK(in == "first" + data);
}

// write() of a megabyte into a pipe with `room`, and the bytes that the other side can read.
void write_into(TlsEnds& ends, Stream& from, Stream& to, std::size_t room) {
    CAPTURE(room);
    const std::string data = pattern(1'000'000);
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + room);
    Operation write(ends.engine(), data);
    from.write(write.aio);
    ends.run_some();
    REQUIRE(write.done());
    CHECK(!write.ended().error);
    CHECK(write.ended().count > 0);
    CHECK(write.ended().count <= 16384);
    // The next write waits until the rest has been sent, and its cancel leaves no trace.
    Operation next(ends.engine(), data);
    from.write(next.aio);
    ends.run_some();
    const std::size_t taken = ends.to_server().taken().size();
    if (!next.done()) next.aio.cancel();
    REQUIRE(ends.run_until([&] { return next.done(); }));
    CHECK(ends.to_server().taken().size() == taken);
    ends.to_server().limit(Pipe::kNever);
    const std::size_t total = write.ended().count + next.ended().count;
    std::string in(total, '\0');
    CHECK(ends.read_all(to, in) == success(total));
    CHECK(in.substr(0, write.ended().count) == data.substr(0, write.ended().count));
}

TEST_CASE(
    "write() over tls completes when its first byte is taken, and counts the bytes that arrive") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        for (const std::size_t room : {1, 5, 6, 1000, 1381}) {
            TlsEnds ends(version);
            ends.joined();
            write_into(ends, ends.client(), ends.server(), room);
            CHECK(ends.write_all(ends.client(), "tail") == success(4));
            ends.client_handle().reset();
            std::string in(5, '\0');
            CHECK(ends.read_all(ends.server(), in) == failure(Errc::end_of_stream, 4));
        }
    }
}

TEST_CASE("write() over TLS in TLS completes when its first byte is taken") {
    const tls::Context server(server_options());
    const tls::Context client(client_options());
    TlsEnds ends;
    ends.joined();
    StreamPtr inner_client;
    StreamPtr inner_server;
    Operation connect(ends.engine());
    Operation accept(ends.engine());
    tls::accept(server, std::move(ends.server_handle()), accept.aio, inner_server);
    tls::connect(client, std::move(ends.client_handle()), to_localhost(), connect.aio,
                 inner_client);
    REQUIRE(ends.run_until([&] { return accept.done() && connect.done(); }));
    REQUIRE(inner_client);
    REQUIRE(inner_server);
    write_into(ends, *inner_client, *inner_server, 1);
}

TEST_CASE("the bytes that write() over tls has counted arrive before a close") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + 100);
    const std::string data = pattern(5000);
    Operation write(ends.engine(), data);
    ends.client().write(write.aio);
    REQUIRE(ends.run_until([&] { return write.done(); }));
    ends.client_handle().reset();
    ends.run_some();
    ends.to_server().limit(Pipe::kNever);
    std::string in(data.size(), '\0');
    CHECK(ends.read_all(ends.server(), in) == failure(Errc::end_of_stream, write.ended().count));
    CHECK(data.starts_with(in.substr(0, write.ended().count)));
}

TEST_CASE("queued small write() calls over tls share a record, separate from write_all") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    const std::size_t before = ends.to_server().taken().size();
    std::vector<std::unique_ptr<Operation>> parts;
    for (int i = 0; i < 6; ++i) {
        parts.push_back(std::make_unique<Operation>(ends.engine(), "part"));
        i < 4 ? ends.client().write(parts.back()->aio) : ends.client().write_all(parts.back()->aio);
    }
    ends.run_some();
    for (const std::unique_ptr<Operation>& part : parts)
        CHECK(part->ended() == success(4));
    CHECK(ends.to_server().taken().size() - before == 3 * 22 + 6 * 4);
}

TEST_CASE("a reset before the first byte ends all tls writes of a record with connection_reset") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + 27);
    Operation first(ends.engine(), "first");
    Operation second(ends.engine(), "second");
    Operation third(ends.engine(), "third");
    for (Operation* const each : {&first, &second, &third})
        ends.client().write_all(each->aio);
    ends.run_some();
    CHECK(first.ended() == success(5));
    ends.server_handle()->close();
    REQUIRE(ends.run_until([&] { return second.done() && third.done(); }));
    CHECK(second.ended() == failure(Errc::connection_reset));
    CHECK(third.ended() == failure(Errc::connection_reset));
}

TEST_CASE(
    "a tls write with a timeout of 0 or without an iovec list fails and keeps the stream open") {
    TlsEnds ends;
    ends.joined();
    Operation late(ends.engine(), "late");
    late.aio.set_timeout(0ns);
    ends.client().write_all(late.aio);
    Operation none(ends.engine());
    ends.client().write_all(none.aio);
    Operation empty(ends.engine(), "");
    ends.client().write_all(empty.aio);
    REQUIRE(ends.run_until([&] { return late.done() && none.done() && empty.done(); }));
    CHECK(late.ended() == failure(Errc::timed_out));
    CHECK(none.ended() == failure(Errc::invalid_argument));
    CHECK(empty.ended() == success(0));
    CHECK(ends.write_all(ends.client(), "tail") == success(4));
    std::string in(4, '\0');
    CHECK(ends.read_all(ends.server(), in) == success(4));
}

TEST_CASE("a tls write to a closed peer fails, and bytes received before can still be read") {
    TlsEnds ends;
    ends.joined();
    CHECK(ends.write_all(ends.server(), "refused, since") == success(14));
    ends.run_some();
    ends.server_handle()->close();
    REQUIRE(ends.run_until([&] { return ends.to_client().write_ended(); }));
    CHECK(ends.write_all(ends.client(), "too much") == failure(Errc::connection_reset));
    std::string in(20, '\0');
    CHECK(ends.read_all(ends.client(), in) == failure(Errc::end_of_stream, 14));
    CHECK(ends.write_all(ends.client(), "more") == failure(Errc::connection_reset));
}

TEST_CASE("bytes received before a reset can be read although a tls write has failed") {
    for (const Version version : {Version::tls_1_2, Version::tls_1_3}) {
        TlsEnds ends(version);
        ends.joined();
        ends.run_some();
        ends.to_server().limit(ends.to_server().taken().size() + 20'000);
        const std::string data = pattern(100'000);
        Operation write(ends.engine(), data);
        ends.client().write_all(write.aio);
        ends.run_some();
        CHECK(write.ended() == kPending);
        CHECK(ends.write_all(ends.server(), "refused, since") == success(14));
        ends.server_handle()->close();
        REQUIRE(ends.run_until([&] { return write.done(); }));
        CHECK(write.ended().error == Errc::connection_reset);
        CHECK(write.ended().count > 0);
        std::string in(20, '\0');
        CHECK(ends.read_all(ends.client(), in) == failure(Errc::end_of_stream, 14));
        CHECK(in.starts_with("refused, since"));
        CHECK(ends.write_all(ends.client(), "more") == failure(Errc::closed));
    }
}

TEST_CASE("closing a tls stream ends pending operations, and no more of their bytes are sent") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    ends.to_server().limit(ends.to_server().taken().size() + 2000);
    const std::string data = pattern(100'000);
    std::string in(10, '\0');
    Operation write(ends.engine(), data);
    Operation queued(ends.engine(), "queued");
    Operation read(ends.engine(), in);
    ends.client().write_all(write.aio);
    ends.client().write_all(queued.aio);
    ends.client().read(read.aio);
    ends.run_some();
    ends.client().close();
    REQUIRE(ends.run_until([&] { return write.done() && queued.done() && read.done(); }));
    const std::string taken = ends.to_server().taken();
    CHECK(write.ended().error == Errc::closed);
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(read.ended() == failure(Errc::closed));
    ends.to_server().limit(Pipe::kNever);
    ends.run_some();
    CHECK(readable(ends) == write.ended().count);
    CHECK(ends.to_server().taken() == taken);
}

TEST_CASE("tls records are small at first and after a pause, and large in between") {
    TlsEnds ends;
    ends.joined();
    ends.run_some();
    // Sizes of the records that the pipe accepted.
    std::size_t at = ends.to_server().taken().size();
    const auto next_record = [&] {
        const std::string& taken = ends.to_server().taken();
        const std::size_t size = static_cast<unsigned char>(taken[at + 3]) << 8 |
                                 static_cast<unsigned char>(taken[at + 4]);
        at += 5 + size;
        return size;
    };
    const std::string data = pattern(200'000);
    std::string in(data.size(), '\0');
    Operation read(ends.engine(), in);
    ends.server().read_all(read.aio);
    CHECK(ends.write_all(ends.client(), data) == success(data.size()));
    CHECK(next_record() < 1400);
    while (at + 5 < ends.to_server().taken().size() && next_record() < 1400) {
    }
    CHECK(next_record() > 16384);
    ends.run_some();
    at = ends.to_server().taken().size();
    ends.kernel().advance(2s);
    CHECK(ends.write_all(ends.client(), data) == success(data.size()));
    CHECK(next_record() < 1400);
}

}  // namespace uaio::tls_write_test
