// How an http::Connection ends: by close on this side, and by the peer. The rows W-29 to W-42 and
//
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"

#include <memory>

#include <doctest/doctest.h>

namespace uaio::http_connection_end_test {

using namespace std::chrono_literals;

bool is_reset_or_closed(const Ended& ended) {
    return ended.calls == 1 && ended.count == 0 &&
           (ended.error == Errc::connection_reset || ended.error == Errc::closed);
}

// A read and a blocked write in flight.
struct BothWays {
    explicit BothWays(KernelKind kind)
        : fixture(kind),
          payload(pattern(ConnectionFixture::kBlocking)),
          in(10, '\0'),
          write(fixture.engine(), payload),
          read(fixture.engine(), in) {
        fixture.connection().read(read.aio);
        fixture.connection().write_all(write.aio);
        REQUIRE(fixture.run_until_blocked());
    }

    // The read has ended, and the write goes on.
    void check_read_ended(std::error_code error) {
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == failure(error));
        CHECK(write.ended() == kPending);
        CHECK(fixture.receive(payload.size()) == payload);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(payload.size()));
        CHECK(fixture.follow_up() == success(4));
    }

    ConnectionFixture fixture;
    const std::string payload;
    std::string in;
    Operation write;
    Operation read;
};

TEST_CASE_TEMPLATE("close ends everything pending with closed and exact counts (W-29, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    Operation queued_read(fixture.engine(), in);
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    fixture.connection().read_all(read.aio);
    fixture.connection().read(queued_read.aio);
    fixture.peer().send("abc");
    REQUIRE(fixture.run_until_blocked());
    fixture.run_some();
    fixture.connection().close();
    CHECK(head.ended() == kPending);
    REQUIRE(fixture.run_until([&] { return head.done() && queued.done() && queued_read.done(); }));
    const std::string& got = fixture.receive_to_end();
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(head.ended() == failure(Errc::closed, got.size()));
    CHECK(payload.starts_with(got));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(read.ended() == failure(Errc::closed, 3));
    CHECK(in.starts_with("abc"));
    CHECK(queued_read.ended() == failure(Errc::closed));
    CHECK(fixture.connection().stream().native_handle() == -1);
    fixture.connection().close();
    CHECK(fixture.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close ends pending reads with closed (W-30, rule 8)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    Operation queued(fixture.engine(), in);
    fixture.connection().read(read.aio);
    fixture.connection().read(queued.aio);
    fixture.run_some();
    fixture.connection().close();
    REQUIRE(fixture.run_until([&] { return read.done() && queued.done(); }));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(fixture.receive_to_end().empty());
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(fixture.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close inside a write's callback ends the others with closed (W-31, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    unsigned calls = 0;
    Aio first(fixture.engine(), [&](Aio&) {
        ++calls;
        fixture.connection().close();
    });
    first.set_iov("first", 5);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation second(fixture.engine(), payload);
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read(read.aio);
    fixture.connection().write_all(first);
    fixture.connection().write_all(second.aio);
    REQUIRE(fixture.run_until([&] { return second.done() && read.done(); }));
    CHECK(calls == 1);
    const std::string& got = fixture.receive_to_end();
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(second.ended() == failure(Errc::closed, got.size() - 5));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(fixture.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("bytes that the kernel has taken reach the peer after close (W-32, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(
        Kernel::kKind, {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string payload = pattern(100'000);
    Operation write(fixture.engine(), payload);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(payload.size()));
    fixture.connection().close();
    CHECK(fixture.receive_to_end() == payload);
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(fixture.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close with unread received bytes does not reset the peer (rule 8)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "answer");
    fixture.peer().send("a request that is not read");
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    fixture.connection().close();
    CHECK(fixture.receive_to_end() == "answer");
    CHECK(fixture.peer().end() == RawPeer::End::fin);
}

TEST_CASE_TEMPLATE("destroying a connection ends everything pending with closed (rule 8)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    fixture.connection().read(read.aio);
    REQUIRE(fixture.run_until_blocked());
    fixture.drop_connection();
    REQUIRE(fixture.run_until([&] { return head.done() && queued.done() && read.done(); }));
    CHECK(head.ended() == failure(Errc::closed, fixture.receive_to_end().size()));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(fixture.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("a reset ends a blocked write with connection_reset (W-33, rule 5)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    REQUIRE(fixture.run_until_blocked());
    const std::size_t arrived = fixture.peer().unread();
    fixture.peer().reset();
    REQUIRE(fixture.run_until([&] { return head.done() && queued.done(); }));
    const std::size_t count = head.ended().count;
    CHECK(head.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
    CHECK(count < payload.size());
    CHECK(queued.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("a reset ends a blocked write and a pending read (W-34)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    BothWays both(Kernel::kKind);
    ConnectionFixture& fixture = both.fixture;
    const std::size_t arrived = fixture.peer().unread();
    fixture.peer().reset();
    REQUIRE(fixture.run_until([&] { return both.write.done() && both.read.done(); }));
    const std::size_t count = both.write.ended().count;
    CHECK(both.write.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
    // The kernel decides which of the two gets the reset; it is never an end of stream.
    INFO("the read ended with " << both.read.ended());
    CHECK(is_reset_or_closed(both.read.ended()));
    Operation later(fixture.engine(), "later");
    fixture.connection().write_all(later.aio);
    REQUIRE(fixture.run_until_done(later));
    CHECK(later.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("a peer that closes with unread bytes resets a blocked write (W-35, rule 5)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    const std::size_t arrived = fixture.peer().unread();
    fixture.peer().close();
    REQUIRE(fixture.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
}

TEST_CASE_TEMPLATE("after a reset while idle every write ends with connection_reset (W-36)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().reset();
    for (int round = 0; round < 2; ++round) {
        Operation write(fixture.engine(), "lost");
        fixture.connection().write_all(write.aio);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == failure(Errc::connection_reset));
    }
}

TEST_CASE_TEMPLATE("a read after a reset while idle ends with connection_reset", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().reset();
    std::string in(10, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset));
}

TEST_CASE_TEMPLATE(
    "the first write to a closed peer is lost, and later ones end with an error (W-37)", Kernel,
    OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().close();
    Operation first(fixture.engine(), "lost");
    fixture.connection().write_all(first.aio);
    REQUIRE(fixture.run_until_done(first));
    CHECK(first.ended() == success(4));
    for (int round = 0; round < 2; ++round) {
        Operation later(fixture.engine(), "late");
        fixture.connection().write_all(later.aio);
        REQUIRE(fixture.run_until_done(later));
        CHECK(later.ended() == failure(Errc::connection_reset));
    }
}

TEST_CASE_TEMPLATE("a peer that has shut down its sending side receives everything (W-38)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().shutdown_write();
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(payload.size()) == payload);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(payload.size()));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("the end of the peer's stream ends a read and does not affect a write (W-39)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    BothWays both(Kernel::kKind);
    both.fixture.peer().shutdown_write();
    both.check_read_ended(Errc::end_of_stream);
}

TEST_CASE_TEMPLATE("a write to a peer that does not read expires (W-40)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.peer().shutdown_read();
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    write.aio.set_timeout(50ms);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == failure(Errc::timed_out, count));
    CHECK(count > 0);
    CHECK(count < payload.size());
    CHECK(fixture.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("cancelling a read does not affect the write in flight (W-41, rule 7)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    BothWays both(Kernel::kKind);
    both.read.aio.cancel();
    both.check_read_ended(Errc::canceled);
}

TEST_CASE_TEMPLATE(
    "every verb on a closed connection ends with closed before any other error (W-42, rule 1)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.connection().close();
    using Verb = void (http::Connection::*)(Aio&) noexcept;
    for (const Verb verb : {&http::Connection::write_all, &http::Connection::write,
                            &http::Connection::read_all, &http::Connection::read}) {
        char byte = 'x';
        Operation plain(fixture.engine(), {&byte, 1});
        Operation no_buffers(fixture.engine());
        Operation no_time(fixture.engine(), {&byte, 1});
        no_time.aio.set_timeout(0ns);
        Operation stopped(fixture.engine(), {&byte, 1});
        stopped.aio.stop();  // takes precedence over closed
        for (Operation* operation : {&plain, &no_buffers, &no_time, &stopped}) {
            (fixture.connection().*verb)(operation->aio);
            CHECK(operation->ended() == kPending);
            REQUIRE(fixture.run_until_done(*operation));
        }
        CHECK(plain.ended() == failure(Errc::closed));
        CHECK(no_buffers.ended() == failure(Errc::closed));
        CHECK(no_time.ended() == failure(Errc::closed));
        CHECK(stopped.ended() == failure(Errc::canceled));
    }
}

TEST_CASE_TEMPLATE("a missing iovec list is reported before an expired timeout (rule 1)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine());
    write.aio.set_timeout(0ns);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == failure(Errc::invalid_argument));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a connection works after its listener is destroyed (X-7)", Kernel, OnLinux,
                   OnPoll) {
    Engine engine(options_on(Kernel::kKind));
    auto listener = std::make_unique<tcp::Listener>(engine, Endpoint::loopback(0));
    StreamPtr accepted;
    Operation accept(engine);
    listener->accept(accept.aio, accepted);
    RawPeer peer = RawPeer::connect_tcp(listener->local_endpoint());
    REQUIRE(!accept.aio.wait());
    listener.reset();
    http::Connection connection(std::move(accepted));
    Operation write(engine, "abc");
    connection.write_all(write.aio);
    REQUIRE(!write.aio.wait());
    CHECK(write.ended() == success(3));
    http::Connection moved(std::move(connection));
    moved.write_all(write.aio);
    REQUIRE(!write.aio.wait());
    CHECK(peer.read_some() == 6);
}

}  // namespace uaio::http_connection_end_test
