// The results of read and read_all of an http::Connection: the rows.
#include <uaio/http.h>

#include "tests/support/wire.h"

#include <memory>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using namespace std::chrono_literals;

TEST_CASE_TEMPLATE("read_all waits until its buffers are full (R-1)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(wire.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 3)));
    wire.connection().read_all(read.aio);
    wire.peer().send("abc");
    wire.run_some();
    CHECK(read.ended() == kPending);
    CHECK(!read.aio.result());
    wire.peer().send("defghij");
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(10));
    CHECK(in == "abcdefghij");
}

TEST_CASE_TEMPLATE("read delivers the available bytes, each time at the front of its buffers (R-2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(100, '\0');
    Operation read(wire.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 4)));
    for (const std::string_view bytes : {"abc", "def"}) {
        read.forget();
        wire.peer().send(bytes);
        wire.connection().read(read.aio);
        REQUIRE(wire.run_until_done(read));
        CHECK(read.ended() == success(3));
        CHECK(in.starts_with(bytes));
    }
}

TEST_CASE_TEMPLATE("a read_all ends at the end of the stream with the bytes received (R-3)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    Operation queued(wire.engine(), in);
    wire.connection().read_all(read.aio);
    wire.connection().read_all(queued.aio);
    wire.peer().send("abc");
    wire.peer().shutdown_write();
    REQUIRE(wire.run_until([&] { return read.done() && queued.done(); }));
    CHECK(read.ended() == failure(Errc::end_of_stream, 3));
    CHECK(in.starts_with("abc"));
    CHECK(queued.ended() == failure(Errc::end_of_stream));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a read_all ends at a reset with the bytes received (R-4)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read_all(read.aio);
    wire.peer().send("abc");
    wire.run_some();
    wire.peer().reset();
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset, 3));
    CHECK(in.starts_with("abc"));
}

TEST_CASE_TEMPLATE("a read without an iovec list fails and keeps the connection open (R-5)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation some(wire.engine());
    Operation all(wire.engine());
    wire.connection().read(some.aio);
    wire.connection().read_all(all.aio);
    REQUIRE(wire.run_until([&] { return some.done() && all.done(); }));
    CHECK(some.ended() == failure(Errc::invalid_argument));
    CHECK(all.ended() == failure(Errc::invalid_argument));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a read into 0 bytes succeeds with count 0 (R-6)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    char byte = 'x';
    Operation some(wire.engine(), {&byte, 0});
    Operation all(wire.engine(), {&byte, 0});
    wire.connection().read(some.aio);
    wire.connection().read_all(all.aio);
    REQUIRE(wire.run_until([&] { return some.done() && all.done(); }));
    CHECK(some.ended() == success(0));
    CHECK(all.ended() == success(0));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("an empty entry at the end is not the end of the stream (R-7)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    char in[4] = {};
    const iovec vector[] = {{in, 3}, {in, 0}};
    Operation read(wire.engine());
    REQUIRE(!read.aio.set_iov(vector));
    wire.connection().read_all(read.aio);
    wire.peer().send("abc");
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(std::string_view(in) == "abc");
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a read_all that expires returns the bytes received and keeps the connection open (R-8, rule "
    "7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    read.aio.set_timeout(20ms);
    wire.connection().read_all(read.aio);
    wire.peer().send("abc");
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out, 3));
    CHECK(in.starts_with("abc"));
    CHECK(wire.follow_up() == success(4));

    // The stream continues where it was.
    read.forget();
    read.aio.set_timeout(kNoTimeout);
    wire.connection().read_all(read.aio);
    wire.peer().send("defghijklm");
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(10));
    CHECK(in == "defghijklm");
}

TEST_CASE_TEMPLATE("a read with a timeout of 0 consumes nothing although bytes are available (R-9)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(wire.engine(), in);
    wire.peer().send("abc");
    read.aio.set_timeout(0ns);
    wire.connection().read_all(read.aio);
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
    read.forget();
    read.aio.set_timeout(kNoTimeout);
    wire.connection().read_all(read.aio);
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(in == "abc");
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a cancelled read in the queue consumes nothing (R-10)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(6, '\0');
    Operation head(wire.engine(), std::string_view(in).substr(0, 3));
    Operation queued(wire.engine(), in);
    Operation behind(wire.engine(), std::string_view(in).substr(3));
    wire.connection().read_all(head.aio);
    wire.connection().read_all(queued.aio);
    wire.connection().read_all(behind.aio);
    wire.run_some();
    queued.aio.cancel();
    REQUIRE(wire.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::canceled));
    wire.peer().send("abcdef");
    REQUIRE(wire.run_until_done(behind));
    CHECK(head.ended() == success(3));
    CHECK(behind.ended() == success(3));
    CHECK(in == "abcdef");
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a cancelled read in flight returns the bytes received, and the next read continues (R-11, "
    "rule 7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    std::string next_in(3, '\0');
    Operation read(wire.engine(), in);
    Operation next(wire.engine(), next_in);
    wire.connection().read_all(read.aio);
    wire.connection().read_all(next.aio);
    wire.peer().send("abc");
    wire.run_some();
    read.aio.cancel();
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::canceled, 3));
    CHECK(in.starts_with("abc"));
    CHECK(next.ended() == kPending);
    wire.peer().send("def");
    REQUIRE(wire.run_until_done(next));
    CHECK(next.ended() == success(3));
    CHECK(next_in == "def");
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("16 MiB are read into 8 entries in order (R-12)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind,
              {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string out = pattern(Wire::kBlockingLarge);
    std::string in(out.size(), '\0');
    Operation read(wire.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 8)));
    wire.connection().read_all(read.aio);
    std::size_t sent = 0;
    while (sent < out.size()) {
        REQUIRE(wire.run_until([&] { return wire.peer().writable(); }));
        sent += wire.peer().send_some(std::string_view(out).substr(sent));
    }
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(out.size()));
    CHECK(in == out);
}

TEST_CASE_TEMPLATE("a read delivers the bytes received before a reset", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(wire.engine(), in);
    wire.peer().send("abc");
    wire.run_some();
    wire.peer().reset();
    wire.run_some();
    wire.connection().read_all(read.aio);
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(3));
    CHECK(in == "abc");
    read.forget();
    wire.connection().read(read.aio);
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset));
}

TEST_CASE_TEMPLATE("a read after the end of the stream ends with end_of_stream again", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(3, '\0');
    Operation read(wire.engine(), in);
    wire.peer().send("abc");
    wire.connection().read_all(read.aio);
    REQUIRE(wire.run_until_done(read));
    wire.peer().shutdown_write();
    for (int round = 0; round < 2; ++round) {
        read.forget();
        wire.connection().read(read.aio);
        REQUIRE(wire.run_until_done(read));
        CHECK(read.ended() == failure(Errc::end_of_stream));
    }
}

TEST_CASE_TEMPLATE("reads run one at a time in order of submission", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    constexpr std::size_t kReads = 50;
    const std::string out = pattern(kReads * 11);
    std::string in(out.size(), '\0');
    std::vector<std::unique_ptr<Operation>> reads;
    for (std::size_t i = 0; i < kReads; ++i) {
        reads.push_back(
            std::make_unique<Operation>(wire.engine(), std::string_view(in).substr(i * 11, 11)));
        wire.connection().read_all(reads.back()->aio);
    }
    wire.peer().send(out);
    REQUIRE(wire.run_until_done(*reads.back()));
    for (const auto& read : reads)
        CHECK(read->ended() == success(11));
    CHECK(in == out);
}

}  // namespace
}  // namespace uaio
