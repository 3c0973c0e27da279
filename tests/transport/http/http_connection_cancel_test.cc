// The effect of cancels, aborts, stops and deadlines on the writes of an http::Connection: the rows
// W-13 to W-28 and W-43 to W-55.
#include <uaio/http.h>

#include "tests/support/wire.h"

#include <memory>
#include <random>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using namespace std::chrono_literals;

// A blocked write, another behind it and a read, all on one connection.
struct Busy {
    explicit Busy(KernelKind kind)
        : wire(kind),
          body(pattern(Wire::kBlocking)),
          head(wire.engine(), body),
          queued(wire.engine(), "queued"),
          reading(5, '\0'),
          read(wire.engine(), reading) {}

    void start() {
        wire.connection().write_all(head.aio);
        wire.connection().write_all(queued.aio);
        wire.connection().read_all(read.aio);
        REQUIRE(wire.run_until_blocked());
    }
    bool run_until_over() {
        return wire.run_until([this] { return head.done() && queued.done() && read.done(); });
    }

    // The head ended with `error` after some of its bytes, and closed the connection.
    void check_poisoned(std::error_code error) {
        REQUIRE(run_until_over());
        const std::string& got = wire.receive_to_end();
        CHECK(wire.peer().end() == RawPeer::End::fin);
        CHECK(got.size() > 0);
        CHECK(head.ended() == failure(error, got.size()));
        CHECK(body.starts_with(got));
        CHECK(queued.ended() == failure(Errc::closed));
        CHECK(read.ended() == failure(Errc::closed));
        CHECK(wire.follow_up() == failure(Errc::closed));
        CHECK(wire.engine().statistics().in_flight == 0);
    }

    Wire wire;
    const std::string body;
    Operation head;
    Operation queued;
    std::string reading;
    Operation read;
};

TEST_CASE_TEMPLATE(
    "a cancelled write in flight ends canceled with the exact count and closes the "
    "connection (W-13, rule 7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Busy busy(Kernel::kKind);
    busy.start();
    busy.head.aio.cancel();
    CHECK(busy.head.ended() == kPending);  // not inside cancel()
    busy.check_poisoned(Errc::canceled);
}

TEST_CASE_TEMPLATE("an aborted write in flight ends with the caller's error (W-15)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Busy busy(Kernel::kKind);
    busy.start();
    const std::error_code reason(EPERM, std::generic_category());
    busy.head.aio.abort(reason);
    busy.head.aio.cancel();  // only the first counts
    busy.check_poisoned(reason);
}

TEST_CASE_TEMPLATE("stop ends a write in flight by its callback (W-16)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Busy busy(Kernel::kKind);
    busy.start();
    busy.head.aio.stop();
    busy.check_poisoned(Errc::canceled);
}

TEST_CASE_TEMPLATE("destroying an Aio in flight ends it with closed by its callback (W-17)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Ended seen;
    auto watched = std::make_unique<Aio>(wire.engine(), [&seen](Aio& aio) {
        seen = {seen.calls + 1, aio.result(), aio.count()};
    });
    watched->set_iov(body.data(), body.size());
    wire.connection().write_all(*watched);
    REQUIRE(wire.run_until_blocked());
    watched.reset();
    CHECK(seen.calls == 1);
    CHECK(seen == failure(Errc::closed, wire.receive_to_end().size()));
    CHECK(wire.peer().end() == RawPeer::End::fin);
    CHECK(wire.follow_up() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE(
    "a write that expires in flight ends timed_out with the exact count and closes "
    "the connection (W-18, rule 7)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Busy busy(Kernel::kKind);
    busy.head.aio.set_timeout(20ms);
    busy.start();
    busy.check_poisoned(Errc::timed_out);
}

TEST_CASE_TEMPLATE(
    "a cancelled write in the queue sends nothing and keeps the connection open (W-19, rule 6)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation queued(wire.engine(), "queued");
    Operation behind(wire.engine(), "end");
    wire.connection().write_all(head.aio);
    wire.connection().write_all(queued.aio);
    wire.connection().write_all(behind.aio);
    REQUIRE(wire.run_until_blocked());
    queued.aio.cancel();
    CHECK(queued.ended() == kPending);
    REQUIRE(wire.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::canceled));
    CHECK(wire.receive(body.size() + 3) == body + "end");
    REQUIRE(wire.run_until_done(behind));
    CHECK(head.ended() == success(body.size()));
    CHECK(behind.ended() == success(3));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a write that expires in the queue sends nothing and keeps the connection open (W-20, rule 6)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation queued(wire.engine(), "queued");
    queued.aio.set_timeout(5ms);  // time in the queue counts
    wire.connection().write_all(head.aio);
    wire.connection().write_all(queued.aio);
    REQUIRE(wire.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::timed_out));
    CHECK(head.ended() == kPending);
    CHECK(wire.receive(body.size()) == body);
    REQUIRE(wire.run_until_done(head));
    CHECK(head.ended() == success(body.size()));
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(body.size() + 4).substr(body.size()) == "tail");
}

TEST_CASE_TEMPLATE(
    "a write with a timeout of zero or less sends nothing and keeps the connection open (W-22, "
    "W-23, rule 1)",
    Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    for (const std::chrono::nanoseconds timeout : {0ns, -3ns, std::chrono::nanoseconds::min()}) {
        Operation write(wire.engine(), "never");
        write.aio.set_timeout(timeout);
        wire.connection().write_all(write.aio);
        CHECK(write.ended() == kPending);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == failure(Errc::timed_out));
    }
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a deadline limits the whole operation, and progress does not extend it (W-24)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(16 * Wire::kBlocking);
    Operation write(wire.engine(), body);
    write.aio.set_timeout(60ms);
    const Clock::time_point begin = wire.engine().now();
    wire.connection().write_all(write.aio);
    // Reads a little every turn, so that there is constant progress.
    while (!write.done()) {
        REQUIRE(wire.engine().now() - begin < kPatience);
        wire.peer().read_some(100);
        wire.engine().run_once(1ms);
    }
    CHECK(wire.engine().now() - begin >= 60ms);
    const std::string& got = wire.receive_to_end();
    CHECK(write.ended() == failure(Errc::timed_out, got.size()));
    CHECK(body.starts_with(got));
}

TEST_CASE_TEMPLATE("a timeout applies to later operations too (W-25)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "1");
    write.aio.set_timeout(80ms);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(1));

    const std::string body = pattern(Wire::kBlocking);
    write.forget();
    write.aio.set_iov(body.data(), body.size());
    const Clock::time_point begin = wire.engine().now();
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(wire.engine().now() - begin >= 80ms);
    CHECK(write.ended() == failure(Errc::timed_out, wire.receive_to_end().size() - 1));
}

TEST_CASE_TEMPLATE("set_timeout does not change a running operation (W-26)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    write.aio.set_timeout(0ns);
    wire.run_some();
    CHECK(write.ended() == kPending);
    wire.receive(body.size());
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(body.size()));
    write.forget();
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("a timeout applies again after it has expired once (W-28)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    std::string in(4, '\0');
    Operation aio(wire.engine(), in);
    aio.aio.set_timeout(5ms);
    for (int round = 0; round < 3; ++round) {
        aio.forget();
        wire.connection().read_all(aio.aio);
        REQUIRE(wire.run_until_done(aio));
        CHECK(aio.ended() == failure(Errc::timed_out));
    }
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("an operation on a stopped Aio ends canceled and sends nothing (W-43)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "never");
    write.aio.stop();
    for (int round = 0; round < 2; ++round) {
        write.forget();
        wire.connection().write_all(write.aio);
        CHECK(write.ended() == kPending);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == failure(Errc::canceled));
    }
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a write behind one that was cancelled half-way ends with closed (W-53)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string body = pattern(Wire::kBlocking);
    Operation head(wire.engine(), body);
    Operation next(wire.engine(), "next");
    wire.connection().write_all(head.aio);
    REQUIRE(wire.run_until_blocked());
    head.aio.cancel();
    wire.connection().write_all(next.aio);
    REQUIRE(wire.run_until_done(next));
    const std::string& got = wire.receive_to_end();
    CHECK(head.ended() == failure(Errc::canceled, got.size()));
    CHECK(body.starts_with(got));
    CHECK(next.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("cancelling an idle Aio has no effect (W-54)", Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "one");
    write.aio.cancel();
    CHECK(!write.aio.result());
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(3));
    write.aio.cancel();
    write.aio.abort(Errc::timed_out);
    wire.run_some();
    CHECK(write.ended() == success(3));
    CHECK(!write.aio.result());
    CHECK(write.aio.count() == 3);
}

TEST_CASE_TEMPLATE("a cancel during the callback has no effect (W-55)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    unsigned calls = 0;
    std::error_code inside = Errc::not_connected;
    Aio write(wire.engine(), [&](Aio& aio) {
        ++calls;
        aio.cancel();
        inside = aio.result();
    });
    write.set_iov("one", 3);
    wire.connection().write_all(write);
    REQUIRE(wire.run_until([&] { return calls > 0; }));
    wire.run_some();
    CHECK(calls == 1);
    CHECK(!inside);
    CHECK(!write.result());
    CHECK(write.count() == 3);
}

TEST_CASE_TEMPLATE("a write cancelled before the kernel took it sends nothing (rule 7)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "never");
    wire.connection().write_all(write.aio);
    write.aio.cancel();
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == failure(Errc::canceled));
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE(
    "a blocked write cancelled before its first byte keeps the connection open (rule 7)", Kernel,
    OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    // A write of the free space fills the sockets; the next cannot send a byte.
    const std::string body = pattern(Wire::kBlocking);
    std::size_t filled = 0;
    const auto full = [&] {
        Operation fill(wire.engine(), body);
        wire.connection().write(fill.aio);
        for (int turn = 0; turn < 20 && !fill.done(); ++turn)
            wire.engine().run_once(1ms);
        if (!fill.done()) fill.aio.cancel();
        REQUIRE(wire.run_until_done(fill));
        filled += fill.ended().count;
        return fill.ended() == failure(Errc::canceled);
    };
    while (!full())
        REQUIRE(filled < body.size());
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(filled + 4).substr(filled) == "tail");
}

TEST_CASE_TEMPLATE("random cancels lose no callback and no byte (W-51)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    std::minstd_rand random(7);
    const std::string body = pattern(Wire::kBlocking);
    std::optional<Wire> wire;
    bool over = true;
    std::size_t sent = 0;
    int canceled = 0;
    for (int round = 0; round < (kSanitized ? 100 : 400); ++round) {
        // Each round compares everything received, so a connection does not live for all of them.
        if (over || wire->peer().received().size() > 4 * body.size()) wire.emplace(Kernel::kKind);
        const std::size_t before = wire->peer().received().size();
        const std::size_t size = round % 3 == 0 ? body.size() : 1 + random() % 100'000;
        Operation write(wire->engine(), std::string_view(body).substr(0, size));
        wire->connection().write_all(write.aio);
        for (auto turns = random() % 6; turns > 0; --turns) {
            wire->engine().run_once(0ns);
            wire->peer().read_some(random() % 50'000);
        }
        write.aio.cancel();
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!write.done()) {
            REQUIRE(Clock::now() < limit);
            wire->peer().read_some();
            wire->engine().run_once(1ms);
        }
        const Ended ended = write.ended();
        CHECK(ended.calls == 1);
        CHECK((ended.error ? ended.error == Errc::canceled : ended.count == size));
        canceled += ended.error == Errc::canceled;
        over = ended.error && ended.count > 0;
        const std::string got = over ? wire->receive_to_end() : wire->receive(before + ended.count);
        CHECK(got.size() == before + ended.count);
        CHECK(got.compare(before, got.npos, body, 0, ended.count) == 0);
        sent += ended.count;
    }
    CHECK(sent > 0);
    CHECK(canceled > 0);
}

}  // namespace
}  // namespace uaio
