// How an http::Connection ends: by close on this side, and by the peer. The rows W-29 to W-42 and
//
#include <uaio/http.h>
#include <uaio/tcp.h>

#include "tests/support/wire.h"

#include <memory>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using namespace std::chrono_literals;

bool is_reset_or_closed(const Ended& ended) {
    return ended.calls == 1 && ended.count == 0 &&
           (ended.error == Errc::connection_reset || ended.error == Errc::closed);
}

TEST_CASE_TEMPLATE("close ends everything pending with closed and exact counts (W-29, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation queued(wire.engine(), "queued");
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    Operation queued_read(wire.engine(), in);
    wire.connection().write_all(head.aio);
    wire.connection().write_all(queued.aio);
    wire.connection().read_all(read.aio);
    wire.connection().read(queued_read.aio);
    wire.peer().send("abc");
    REQUIRE(wire.run_until_blocked());
    wire.run_some();
    wire.connection().close();
    CHECK(head.ended() == kPending);
    REQUIRE(wire.run_until([&] { return head.done() && queued.done() && queued_read.done(); }));
    const std::string& got = wire.receive_to_end();
    CHECK(wire.peer().end() == RawPeer::End::fin);
    CHECK(head.ended() == failure(Errc::closed, got.size()));
    CHECK(body.starts_with(got));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(read.ended() == failure(Errc::closed, 3));
    CHECK(in.starts_with("abc"));
    CHECK(queued_read.ended() == failure(Errc::closed));
    CHECK(wire.connection().stream().native_handle() == -1);
    wire.connection().close();
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close ends pending reads with closed (W-30, rule 8)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    Operation queued(wire.engine(), in);
    wire.connection().read(read.aio);
    wire.connection().read(queued.aio);
    wire.run_some();
    wire.connection().close();
    REQUIRE(wire.run_until([&] { return read.done() && queued.done(); }));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(wire.receive_to_end().empty());
    CHECK(wire.peer().end() == RawPeer::End::fin);
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close inside a write's callback ends the others with closed (W-31, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    unsigned calls = 0;
    Aio first(wire.engine(), [&](Aio&) {
        ++calls;
        wire.connection().close();
    });
    first.set_iov("first", 5);
    const std::string body = pattern(Wire::kBlocking);
    Operation second(wire.engine(), body);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read(read.aio);
    wire.connection().write_all(first);
    wire.connection().write_all(second.aio);
    REQUIRE(wire.run_until([&] { return second.done() && read.done(); }));
    CHECK(calls == 1);
    const std::string& got = wire.receive_to_end();
    CHECK(wire.peer().end() == RawPeer::End::fin);
    CHECK(second.ended() == failure(Errc::closed, got.size() - 5));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("bytes that the kernel has taken reach the peer after close (W-32, rule 8)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind,
              {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string body = pattern(100'000);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(body.size()));
    wire.connection().close();
    CHECK(wire.receive_to_end() == body);
    CHECK(wire.peer().end() == RawPeer::End::fin);
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("close with unread received bytes does not reset the peer (rule 8)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "answer");
    wire.peer().send("a request that is not read");
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    wire.connection().close();
    CHECK(wire.receive_to_end() == "answer");
    CHECK(wire.peer().end() == RawPeer::End::fin);
}

TEST_CASE_TEMPLATE("destroying a connection ends everything pending with closed (rule 8)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation queued(wire.engine(), "queued");
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().write_all(head.aio);
    wire.connection().write_all(queued.aio);
    wire.connection().read(read.aio);
    REQUIRE(wire.run_until_blocked());
    wire.drop_connection();
    REQUIRE(wire.run_until([&] { return head.done() && queued.done() && read.done(); }));
    CHECK(head.ended() == failure(Errc::closed, wire.receive_to_end().size()));
    CHECK(queued.ended() == failure(Errc::closed));
    CHECK(read.ended() == failure(Errc::closed));
    CHECK(wire.engine().statistics().in_flight == 0);
}

TEST_CASE_TEMPLATE("a reset ends a blocked write with connection_reset (W-33, rule 5)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation queued(wire.engine(), "queued");
    wire.connection().write_all(head.aio);
    wire.connection().write_all(queued.aio);
    REQUIRE(wire.run_until_blocked());
    const std::size_t arrived = wire.peer().unread();
    wire.peer().reset();
    REQUIRE(wire.run_until([&] { return head.done() && queued.done(); }));
    const std::size_t count = head.ended().count;
    CHECK(head.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
    CHECK(count < body.size());
    CHECK(queued.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("a reset ends a blocked write and a pending read (W-34)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read(read.aio);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    const std::size_t arrived = wire.peer().unread();
    wire.peer().reset();
    REQUIRE(wire.run_until([&] { return write.done() && read.done(); }));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
    // The kernel decides which of the two gets the reset; it is never an end of stream.
    INFO("the read ended with " << read.ended());
    CHECK(is_reset_or_closed(read.ended()));
    Operation later(wire.engine(), "later");
    wire.connection().write_all(later.aio);
    REQUIRE(wire.run_until_done(later));
    CHECK(later.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("a peer that closes with unread bytes resets a blocked write (W-35, rule 5)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    const std::size_t arrived = wire.peer().unread();
    wire.peer().close();
    REQUIRE(wire.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == failure(Errc::connection_reset, count));
    CHECK(count >= arrived);
}

TEST_CASE_TEMPLATE("after a reset while idle every write ends with connection_reset (W-36)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    wire.peer().reset();
    for (int round = 0; round < 2; ++round) {
        Operation write(wire.engine(), "lost");
        wire.connection().write_all(write.aio);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == failure(Errc::connection_reset));
    }
}

TEST_CASE_TEMPLATE("a read after a reset while idle ends with connection_reset", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    wire.peer().reset();
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read(read.aio);
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::connection_reset));
}

TEST_CASE_TEMPLATE(
    "the first write to a closed peer is lost, and later ones end with an error (W-37)", Kernel,
    OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    wire.peer().close();
    Operation first(wire.engine(), "lost");
    wire.connection().write_all(first.aio);
    REQUIRE(wire.run_until_done(first));
    CHECK(first.ended() == success(4));
    for (int round = 0; round < 2; ++round) {
        Operation later(wire.engine(), "late");
        wire.connection().write_all(later.aio);
        REQUIRE(wire.run_until_done(later));
        CHECK(later.ended() == failure(Errc::connection_reset));
    }
}

TEST_CASE_TEMPLATE("a peer that has shut down its sending side receives everything (W-38)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    wire.peer().shutdown_write();
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    CHECK(wire.receive(body.size()) == body);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(body.size()));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("the end of the peer's stream ends a read and does not affect a write (W-39)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read(read.aio);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    wire.peer().shutdown_write();
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::end_of_stream));
    CHECK(write.ended() == kPending);
    CHECK(wire.receive(body.size()) == body);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(body.size()));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a write to a peer that does not read expires (W-40)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    wire.peer().shutdown_read();
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    write.aio.set_timeout(50ms);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == failure(Errc::timed_out, count));
    CHECK(count > 0);
    CHECK(count < body.size());
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("cancelling a read does not affect the write in flight (W-41, rule 7)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    std::string in(10, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read(read.aio);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    read.aio.cancel();
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == failure(Errc::canceled));
    CHECK(write.ended() == kPending);
    CHECK(wire.receive(body.size()) == body);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(body.size()));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "every verb on a closed connection ends with closed before any other error (W-42, rule 1)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    wire.connection().close();
    using Verb = void (http::Connection::*)(Aio&) noexcept;
    for (const Verb verb : {&http::Connection::write_all, &http::Connection::write,
                            &http::Connection::read_all, &http::Connection::read}) {
        char byte = 'x';
        Operation plain(wire.engine(), {&byte, 1});
        Operation no_vector(wire.engine());
        Operation no_time(wire.engine(), {&byte, 1});
        no_time.aio.set_timeout(0ns);
        Operation stopped(wire.engine(), {&byte, 1});
        stopped.aio.stop();  // takes precedence over closed
        for (Operation* operation : {&plain, &no_vector, &no_time, &stopped}) {
            (wire.connection().*verb)(operation->aio);
            CHECK(operation->ended() == kPending);
            REQUIRE(wire.run_until_done(*operation));
        }
        CHECK(plain.ended() == failure(Errc::closed));
        CHECK(no_vector.ended() == failure(Errc::closed));
        CHECK(no_time.ended() == failure(Errc::closed));
        CHECK(stopped.ended() == failure(Errc::canceled));
    }
}

TEST_CASE_TEMPLATE("a missing iovec list is reported before an expired timeout (rule 1)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine());
    write.aio.set_timeout(0ns);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == failure(Errc::invalid_argument));
    CHECK(wire.follow_up() == success(4));
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

}  // namespace
}  // namespace uaio
