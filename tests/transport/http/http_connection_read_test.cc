// The results of read and read_all of an http::Connection: the rows.
#include <uaio/http.h>

#include "tests/support/connection_fixture.h"

#include <memory>

#include <doctest/doctest.h>

namespace uaio::http_connection_read_test {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("read_all waits until its buffers are full (R-1)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 3)));
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abc");
    fixture.run_some();
    CHECK(read.ended() == kPending);
    CHECK(!read.aio.result());
    fixture.peer().send("defghij");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(10));
    CHECK(in == "abcdefghij");
}

TEST_CASE_TEMPLATE("read delivers the available bytes, each time at the front of its buffers (R-2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(100, '\0');
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 4)));
    for (const std::string_view bytes : {"abc", "def"}) {
        read.forget();
        fixture.peer().send(bytes);
        fixture.connection().read(read.aio);
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == success(3));
        CHECK(in.starts_with(bytes));
    }
}

TEST_CASE_TEMPLATE("a read_all ends at the end of the stream with the bytes received (R-3)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    Operation queued(fixture.engine(), in);
    fixture.connection().read_all(read.aio);
    fixture.connection().read_all(queued.aio);
    fixture.peer().send("abc");
    fixture.peer().shutdown_write();
    REQUIRE(fixture.run_until([&] { return read.done() && queued.done(); }));
    CHECK(read.ended() == failure(Errc::end_of_stream, 3));
    CHECK(in.starts_with("abc"));
    CHECK(queued.ended() == failure(Errc::end_of_stream));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a read_all ends at a reset with the bytes received (R-4)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abc");
    fixture.run_some();
    fixture.peer().reset();
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset, 3));
    CHECK(in.starts_with("abc"));
}

TEST_CASE_TEMPLATE("a read without an iovec list fails and keeps the connection open (R-5)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation some(fixture.engine());
    Operation all(fixture.engine());
    fixture.connection().read(some.aio);
    fixture.connection().read_all(all.aio);
    REQUIRE(fixture.run_until([&] { return some.done() && all.done(); }));
    CHECK(some.ended() == failure(Errc::invalid_argument));
    CHECK(all.ended() == failure(Errc::invalid_argument));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a read into 0 bytes succeeds with count 0 (R-6)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    char byte = 'x';
    Operation some(fixture.engine(), {&byte, 0});
    Operation all(fixture.engine(), {&byte, 0});
    fixture.connection().read(some.aio);
    fixture.connection().read_all(all.aio);
    REQUIRE(fixture.run_until([&] { return some.done() && all.done(); }));
    CHECK(some.ended() == success(0));
    CHECK(all.ended() == success(0));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("an empty entry at the end is not the end of the stream (R-7)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    char in[4] = {};
    const iovec entries[] = {{in, 3}, {in, 0}};
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries));
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abc");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(std::string_view(in) == "abc");
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a read_all that expires returns the bytes received and keeps the connection open (R-8, rule "
    "7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    read.aio.set_timeout(20ms);
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abc");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out, 3));
    CHECK(in.starts_with("abc"));
    CHECK(fixture.follow_up() == success(4));

    // The stream continues where it was.
    read.forget();
    read.aio.set_timeout(kNoTimeout);
    fixture.connection().read_all(read.aio);
    fixture.peer().send("defghijklm");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(10));
    CHECK(in == "defghijklm");
}

TEST_CASE_TEMPLATE("a read with a timeout of 0 consumes nothing although bytes are available (R-9)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(fixture.engine(), in);
    fixture.peer().send("abc");
    read.aio.set_timeout(0ns);
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
    read.forget();
    read.aio.set_timeout(kNoTimeout);
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(in == "abc");
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a cancelled read in the queue consumes nothing (R-10)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(6, '\0');
    Operation head(fixture.engine(), std::string_view(in).substr(0, 3));
    Operation queued(fixture.engine(), in);
    Operation behind(fixture.engine(), std::string_view(in).substr(3));
    fixture.connection().read_all(head.aio);
    fixture.connection().read_all(queued.aio);
    fixture.connection().read_all(behind.aio);
    fixture.run_some();
    queued.aio.cancel();
    REQUIRE(fixture.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::canceled));
    fixture.peer().send("abcdef");
    REQUIRE(fixture.run_until_done(behind));
    CHECK(head.ended() == success(3));
    CHECK(behind.ended() == success(3));
    CHECK(in == "abcdef");
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a cancelled read in flight returns the bytes received, and the next read continues (R-11, "
    "rule 7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    std::string next_in(3, '\0');
    Operation read(fixture.engine(), in);
    Operation next(fixture.engine(), next_in);
    fixture.connection().read_all(read.aio);
    fixture.connection().read_all(next.aio);
    fixture.peer().send("abc");
    fixture.run_some();
    read.aio.cancel();
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::canceled, 3));
    CHECK(in.starts_with("abc"));
    CHECK(next.ended() == kPending);
    fixture.peer().send("def");
    REQUIRE(fixture.run_until_done(next));
    CHECK(next.ended() == success(3));
    CHECK(next_in == "def");
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("16 MiB are read into 8 entries in order (R-12)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(
        Kernel::kKind, {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string out = pattern(ConnectionFixture::kBlockingLarge);
    std::string in(out.size(), '\0');
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 8)));
    fixture.connection().read_all(read.aio);
    std::size_t sent = 0;
    while (sent < out.size()) {
        REQUIRE(fixture.run_until([&] { return fixture.peer().writable(); }));
        sent += fixture.peer().send_some(std::string_view(out).substr(sent));
    }
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(out.size()));
    CHECK(in == out);
}

TEST_CASE_TEMPLATE("a read delivers the bytes received before a reset", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(fixture.engine(), in);
    fixture.peer().send("abc");
    fixture.run_some();
    fixture.peer().reset();
    fixture.run_some();
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(in == "abc");
    read.forget();
    fixture.connection().read(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset));
}

TEST_CASE_TEMPLATE("a read after the end of the stream ends with end_of_stream again", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(fixture.engine(), in);
    fixture.peer().send("abc");
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    fixture.peer().shutdown_write();
    for (int round = 0; round < 2; ++round) {
        read.forget();
        fixture.connection().read(read.aio);
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == failure(Errc::end_of_stream));
    }
}

TEST_CASE_TEMPLATE("reads run one at a time in order of submission", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    constexpr std::size_t kReads = 50;
    const std::string out = pattern(kReads * 11);
    std::string in(out.size(), '\0');
    std::vector<std::unique_ptr<Operation>> reads;
    for (std::size_t i = 0; i < kReads; ++i) {
        reads.push_back(
            std::make_unique<Operation>(fixture.engine(), std::string_view(in).substr(i * 11, 11)));
        fixture.connection().read_all(reads.back()->aio);
    }
    fixture.peer().send(out);
    REQUIRE(fixture.run_until_done(*reads.back()));
    for (const auto& read : reads)
        CHECK(read->ended() == success(11));
    CHECK(in == out);
}

}  // namespace uaio::http_connection_read_test
