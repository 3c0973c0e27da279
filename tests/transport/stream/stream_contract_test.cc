// The contract of every stream, on every kind of socket stream: tcp, unix, and with zero copy
// requested. Also writes that are sent together.
#include <uaio/argument_error.h>
#include <uaio/stream.h>

#include "tests/support/connection_fixture.h"

#include <algorithm>
#include <memory>
#include <random>

#include <doctest/doctest.h>

namespace uaio::stream_contract_test {

using namespace std::chrono_literals;

template <class Kernel, bool unix_socket, ZeroCopy zero_copy>
struct Kind {
    static ConnectionFixtureOptions options() {
        ConnectionFixtureOptions result;
        result.unix_socket = unix_socket;
        result.stream.zero_copy = zero_copy;
        return result;
    }
    static constexpr KernelKind kKind = Kernel::kKind;
    static constexpr bool kUnix = unix_socket;
};
using TcpOnLinux = Kind<OnLinux, false, ZeroCopy::off>;
using TcpOnPoll = Kind<OnPoll, false, ZeroCopy::off>;
using UnixOnLinux = Kind<OnLinux, true, ZeroCopy::off>;
using UnixOnPoll = Kind<OnPoll, true, ZeroCopy::off>;
using ZeroCopyTcpOnLinux = Kind<OnLinux, false, ZeroCopy::on>;
using ZeroCopyTcpOnPoll = Kind<OnPoll, false, ZeroCopy::on>;
using ZeroCopyUnixOnLinux = Kind<OnLinux, true, ZeroCopy::on>;

}  // namespace uaio::stream_contract_test

TYPE_TO_STRING_AS("tcp on linux", uaio::stream_contract_test::TcpOnLinux);
TYPE_TO_STRING_AS("tcp on poll", uaio::stream_contract_test::TcpOnPoll);
TYPE_TO_STRING_AS("unix on linux", uaio::stream_contract_test::UnixOnLinux);
TYPE_TO_STRING_AS("unix on poll", uaio::stream_contract_test::UnixOnPoll);
TYPE_TO_STRING_AS("zero-copy tcp on linux", uaio::stream_contract_test::ZeroCopyTcpOnLinux);
TYPE_TO_STRING_AS("zero-copy tcp on poll", uaio::stream_contract_test::ZeroCopyTcpOnPoll);
TYPE_TO_STRING_AS("zero-copy unix on linux", uaio::stream_contract_test::ZeroCopyUnixOnLinux);

namespace uaio::stream_contract_test {

TEST_CASE_TEMPLATE("every stream writes and reads a whole iovec list", Kind, TcpOnLinux, TcpOnPoll,
                   UnixOnLinux, UnixOnPoll, ZeroCopyTcpOnLinux, ZeroCopyTcpOnPoll,
                   ZeroCopyUnixOnLinux) {
    ConnectionFixture fixture(Kind::kKind, Kind::options());
    const std::string out = pattern(ConnectionFixture::kBlocking);
    for (std::size_t round = 1; round <= 3; ++round) {
        Operation write(fixture.engine());
        REQUIRE(!write.aio.set_iov(entries_of(out, 8)));
        fixture.connection().write_all(write.aio);
        CHECK(fixture.receive(round * out.size()).substr((round - 1) * out.size()) == out);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(out.size()));
    }
    std::string in(1000, '\0');
    Operation read(fixture.engine());
    REQUIRE(!read.aio.set_iov(entries_of(in, 8)));
    fixture.connection().read_all(read.aio);
    fixture.peer().send(std::string_view(out).substr(0, 1000));
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(1000));
    CHECK(in == out.substr(0, 1000));
    CHECK(fixture.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("every stream ends an interrupted write with its exact count and closes", Kind,
                   TcpOnLinux, TcpOnPoll, UnixOnLinux, UnixOnPoll, ZeroCopyTcpOnLinux,
                   ZeroCopyTcpOnPoll, ZeroCopyUnixOnLinux) {
    for (const bool expires : {false, true}) {
        ConnectionFixture fixture(Kind::kKind, Kind::options());
        const std::string payload = pattern(ConnectionFixture::kBlocking);
        Operation head(fixture.engine(), payload);
        Operation queued(fixture.engine(), "queued");
        if (expires) head.aio.set_timeout(20ms);
        fixture.connection().write_all(head.aio);
        fixture.connection().write_all(queued.aio);
        REQUIRE(fixture.run_until_blocked());
        if (!expires) head.aio.cancel();
        REQUIRE(fixture.run_until([&] { return fixture.engine().statistics().cancels > 0; }));
        fixture.run_some();
        // With zero copy the kernel releases the bytes only as the peer reads them.
        const std::string& got = fixture.receive_to_end();
        REQUIRE(fixture.run_until([&] { return head.done() && queued.done(); }));
        CHECK(fixture.peer().end() == RawPeer::End::fin);
        CHECK(got.size() > 0);
        const Errc error = expires ? Errc::timed_out : Errc::canceled;
        CHECK(head.ended() == failure(error, got.size()));
        CHECK(payload.starts_with(got));
        CHECK(queued.ended() == failure(Errc::closed));
        CHECK(fixture.follow_up() == failure(Errc::closed));
    }
}

TEST_CASE_TEMPLATE("every stream cancels a queued write without sending a byte", Kind, TcpOnLinux,
                   TcpOnPoll, UnixOnLinux, UnixOnPoll, ZeroCopyTcpOnLinux, ZeroCopyTcpOnPoll,
                   ZeroCopyUnixOnLinux) {
    ConnectionFixture fixture(Kind::kKind, Kind::options());
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    REQUIRE(fixture.run_until_blocked());
    queued.aio.cancel();
    REQUIRE(fixture.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::canceled));
    CHECK(fixture.receive(payload.size()) == payload);
    REQUIRE(fixture.run_until_done(head));
    CHECK(head.ended() == success(payload.size()));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(payload.size() + 4).substr(payload.size()) == "tail");
}

TEST_CASE_TEMPLATE("every stream delivers the bytes that the kernel has taken before it closes",
                   Kind, TcpOnLinux, TcpOnPoll, UnixOnLinux, UnixOnPoll, ZeroCopyTcpOnLinux,
                   ZeroCopyTcpOnPoll, ZeroCopyUnixOnLinux) {
    ConnectionFixture fixture(Kind::kKind, Kind::options());
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read(read.aio);
    fixture.connection().write_all(head.aio);
    REQUIRE(fixture.run_until_blocked());
    fixture.connection().close();
    const std::string& got = fixture.receive_to_end();
    REQUIRE(fixture.run_until([&] { return head.done() && read.done(); }));
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(head.ended() == failure(Errc::closed, got.size()));
    CHECK(payload.starts_with(got));
    CHECK(read.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("every stream distinguishes the end of the stream from a reset", Kind,
                   TcpOnLinux, TcpOnPoll, UnixOnLinux, UnixOnPoll) {
    {
        ConnectionFixture fixture(Kind::kKind, Kind::options());
        std::string in(10, '\0');
        Operation read(fixture.engine(), in);
        fixture.connection().read_all(read.aio);
        fixture.peer().send("abc");
        fixture.peer().shutdown_write();
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == failure(Errc::end_of_stream, 3));
        CHECK(fixture.follow_up() == success(4));
    }
    ConnectionFixture fixture(Kind::kKind, Kind::options());
    Operation write(fixture.engine(), "unread");
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until([&] { return fixture.peer().unread() == 6; }));
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read(read.aio);
    fixture.run_some();
    fixture.peer().close();
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset));
    Operation late(fixture.engine(), "late");
    fixture.connection().write_all(late.aio);
    REQUIRE(fixture.run_until_done(late));
    CHECK(late.ended() == failure(Errc::connection_reset));
}

TEST_CASE_TEMPLATE("queued small writes are sent together, each with its own count", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    const std::string small = pattern(100 * 99 / 2, 2);
    Operation head(fixture.engine(), payload);
    fixture.connection().write_all(head.aio);
    std::vector<std::unique_ptr<Operation>> writes;
    for (std::size_t size = 0, at = 0; size < 100; at += size++) {
        writes.push_back(std::make_unique<Operation>(fixture.engine(),
                                                     std::string_view(small).substr(at, size)));
        fixture.connection().write_all(writes.back()->aio);
    }
    CHECK(fixture.receive(payload.size() + small.size()) == payload + small);
    REQUIRE(fixture.run_until_done(*writes.back()));
    for (std::size_t size = 0; size < 100; ++size)
        CHECK(writes[size]->ended() == success(size));
    CHECK((fixture.engine().statistics().gathered_writes > 50) == (kGatherBytes > 0));
}

// Writes of random sizes, some of which are cancelled or expire at random moments. Returns the
// number of cancelled writes.
std::size_t cut_at_random(ConnectionFixture& fixture, std::minstd_rand& random,
                          const std::string& bytes) {
    std::vector<std::unique_ptr<Operation>> writes;
    std::vector<std::string_view> contents;
    std::size_t at = 0;
    for (int i = 0; i < 60; ++i) {
        const std::size_t size = random() % (i % 10 == 0 ? 60'000 : 3'000);
        contents.push_back(std::string_view(bytes).substr(at, size));
        at += size;
        writes.push_back(std::make_unique<Operation>(fixture.engine(), contents.back()));
        if (random() % 8 == 0) writes.back()->aio.set_timeout(1us * (random() % 3000));
        fixture.connection().write_all(writes.back()->aio);
        if (random() % 4 == 0) fixture.engine().run_once(0ns);
        if (random() % 4 == 0) writes[random() % writes.size()]->aio.cancel();
        if (random() % 3 == 0) fixture.peer().read_some(random() % 20'000);
    }
    const Clock::time_point limit = Clock::now() + kPatience;
    const auto all_done = [&] {
        return std::ranges::all_of(writes, [](const auto& write) { return write->done(); });
    };
    while (!all_done()) {
        REQUIRE(Clock::now() < limit);
        if (random() % 8 == 0) writes[random() % writes.size()]->aio.cancel();
        fixture.peer().read_some(random() % 60'000);
        fixture.engine().run_once(1ms);
    }
    std::string expected;
    std::size_t canceled = 0;
    bool poisoned = false;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const Ended ended = writes[i]->ended();
        CHECK(ended.calls == 1);
        CHECK((ended.error || ended.count == contents[i].size()));
        // A write that failed after sending bytes is the last to send any.
        if (poisoned) CHECK(ended.count == 0);
        if (ended.error && ended.count > 0) poisoned = true;
        canceled += ended.error == Errc::canceled;
        expected.append(contents[i].substr(0, ended.count));
    }
    fixture.connection().close();
    CHECK(fixture.receive_to_end() == expected);
    return canceled;
}

TEST_CASE_TEMPLATE("writes cancelled at random keep order and exact counts", Kind, TcpOnLinux,
                   TcpOnPoll, UnixOnLinux, UnixOnPoll, ZeroCopyTcpOnLinux, ZeroCopyTcpOnPoll,
                   ZeroCopyUnixOnLinux) {
    const std::string bytes = pattern(60 * 60'000);
    std::size_t canceled = 0;
    for (unsigned seed = 1; seed <= (kSanitized ? 10u : 40u); ++seed) {
        CAPTURE(seed);
        std::minstd_rand random(seed);
        ConnectionFixture fixture(Kind::kKind, Kind::options());
        canceled += cut_at_random(fixture, random, bytes);
        REQUIRE(fixture.run_until([&] { return fixture.engine().statistics().in_flight == 0; }));
    }
    CHECK(canceled > 0);
}

TEST_CASE_TEMPLATE("an Aio of another engine ends with wrong_engine on its own engine", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    Engine other(options_on(Kernel::kKind));
    Operation write(other, "abc");
    fixture.connection().write_all(write.aio);
    CHECK(write.aio.wait() == ArgumentErrc::wrong_engine);
    CHECK(write.ended() == failure(ArgumentErrc::wrong_engine));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

}  // namespace uaio::stream_contract_test
