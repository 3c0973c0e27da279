// The effect of cancels, aborts, stops and deadlines on the writes of an http::Connection: the rows
// W-13 to W-28 and W-43 to W-55.
#include <uaio/http.h>

#include "tests/support/connection_fixture.h"

#include <memory>
#include <random>

#include <doctest/doctest.h>

namespace uaio::http_connection_cancel_test {

using namespace std::chrono_literals;

// A blocked write, another behind it and a read, all on one connection.
struct Busy {
    explicit Busy(KernelKind kind)
        : fixture(kind),
          payload(pattern(ConnectionFixture::kBlocking)),
          head(fixture.engine(), payload),
          queued(fixture.engine(), "queued"),
          reading(5, '\0'),
          read(fixture.engine(), reading) {}

    void start() {
        fixture.connection().write_all(head.aio);
        fixture.connection().write_all(queued.aio);
        fixture.connection().read_all(read.aio);
        REQUIRE(fixture.run_until_blocked());
    }
    bool run_until_over() {
        return fixture.run_until([this] { return head.done() && queued.done() && read.done(); });
    }

    // The head ended with `error` after some of its bytes, and closed the connection.
    void check_poisoned(std::error_code error) {
        REQUIRE(run_until_over());
        const std::string& got = fixture.receive_to_end();
        CHECK(fixture.peer().end() == RawPeer::End::fin);
        CHECK(got.size() > 0);
        CHECK(head.ended() == failure(error, got.size()));
        CHECK(payload.starts_with(got));
        CHECK(queued.ended() == failure(Errc::closed));
        CHECK(read.ended() == failure(Errc::closed));
        CHECK(fixture.follow_up() == failure(Errc::closed));
        CHECK(fixture.engine().statistics().in_flight == 0);
    }

    ConnectionFixture fixture;
    const std::string payload;
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
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Ended seen;
    auto watched = std::make_unique<Aio>(fixture.engine(), [&seen](Aio& aio) {
        seen = {seen.calls + 1, aio.result(), aio.count()};
    });
    watched->set_iov(payload.data(), payload.size());
    fixture.connection().write_all(*watched);
    REQUIRE(fixture.run_until_blocked());
    watched.reset();
    CHECK(seen.calls == 1);
    CHECK(seen == failure(Errc::closed, fixture.receive_to_end().size()));
    CHECK(fixture.peer().end() == RawPeer::End::fin);
    CHECK(fixture.follow_up() == failure(Errc::closed));
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
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    Operation behind(fixture.engine(), "end");
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    fixture.connection().write_all(behind.aio);
    REQUIRE(fixture.run_until_blocked());
    queued.aio.cancel();
    CHECK(queued.ended() == kPending);
    REQUIRE(fixture.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::canceled));
    CHECK(fixture.receive(payload.size() + 3) == payload + "end");
    REQUIRE(fixture.run_until_done(behind));
    CHECK(head.ended() == success(payload.size()));
    CHECK(behind.ended() == success(3));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE(
    "a write that expires in the queue sends nothing and keeps the connection open (W-20, rule 6)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation queued(fixture.engine(), "queued");
    queued.aio.set_timeout(5ms);  // time in the queue counts
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(queued.aio);
    REQUIRE(fixture.run_until_done(queued));
    CHECK(queued.ended() == failure(Errc::timed_out));
    CHECK(head.ended() == kPending);
    CHECK(fixture.receive(payload.size()) == payload);
    REQUIRE(fixture.run_until_done(head));
    CHECK(head.ended() == success(payload.size()));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(payload.size() + 4).substr(payload.size()) == "tail");
}

TEST_CASE_TEMPLATE(
    "a write with a timeout of zero or less sends nothing and keeps the connection open (W-22, "
    "W-23, rule 1)",
    Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    for (const std::chrono::nanoseconds timeout : {0ns, -3ns, std::chrono::nanoseconds::min()}) {
        Operation write(fixture.engine(), "never");
        write.aio.set_timeout(timeout);
        fixture.connection().write_all(write.aio);
        CHECK(write.ended() == kPending);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == failure(Errc::timed_out));
    }
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a deadline limits the whole operation, and progress does not extend it (W-24)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(16 * ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    write.aio.set_timeout(60ms);
    const Clock::time_point begin = fixture.engine().now();
    fixture.connection().write_all(write.aio);
    // Reads a little every turn, so that there is constant progress.
    while (!write.done()) {
        REQUIRE(fixture.engine().now() - begin < kPatience);
        fixture.peer().read_some(100);
        fixture.engine().run_once(1ms);
    }
    CHECK(fixture.engine().now() - begin >= 60ms);
    const std::string& got = fixture.receive_to_end();
    CHECK(write.ended() == failure(Errc::timed_out, got.size()));
    CHECK(payload.starts_with(got));
}

TEST_CASE_TEMPLATE("a timeout applies to later operations too (W-25)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "1");
    write.aio.set_timeout(80ms);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(1));

    const std::string payload = pattern(ConnectionFixture::kBlocking);
    write.forget();
    write.aio.set_iov(payload.data(), payload.size());
    const Clock::time_point begin = fixture.engine().now();
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(fixture.engine().now() - begin >= 80ms);
    CHECK(write.ended() == failure(Errc::timed_out, fixture.receive_to_end().size() - 1));
}

TEST_CASE_TEMPLATE("set_timeout does not change a running operation (W-26)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), payload);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    write.aio.set_timeout(0ns);
    fixture.run_some();
    CHECK(write.ended() == kPending);
    fixture.receive(payload.size());
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(payload.size()));
    write.forget();
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("a timeout applies again after it has expired once (W-28)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(4, '\0');
    Operation aio(fixture.engine(), in);
    aio.aio.set_timeout(5ms);
    for (int round = 0; round < 3; ++round) {
        aio.forget();
        fixture.connection().read_all(aio.aio);
        REQUIRE(fixture.run_until_done(aio));
        CHECK(aio.ended() == failure(Errc::timed_out));
    }
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("an operation on a stopped Aio ends canceled and sends nothing (W-43)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "never");
    write.aio.stop();
    for (int round = 0; round < 2; ++round) {
        write.forget();
        fixture.connection().write_all(write.aio);
        CHECK(write.ended() == kPending);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == failure(Errc::canceled));
    }
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a write behind one that was cancelled half-way ends with closed (W-53)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), payload);
    Operation next(fixture.engine(), "next");
    fixture.connection().write_all(head.aio);
    REQUIRE(fixture.run_until_blocked());
    head.aio.cancel();
    fixture.connection().write_all(next.aio);
    REQUIRE(fixture.run_until_done(next));
    const std::string& got = fixture.receive_to_end();
    CHECK(head.ended() == failure(Errc::canceled, got.size()));
    CHECK(payload.starts_with(got));
    CHECK(next.ended() == failure(Errc::closed));
}

TEST_CASE_TEMPLATE("cancelling an idle Aio has no effect (W-54)", Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "one");
    write.aio.cancel();
    CHECK(!write.aio.result());
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(3));
    write.aio.cancel();
    write.aio.abort(Errc::timed_out);
    fixture.run_some();
    CHECK(write.ended() == success(3));
    CHECK(!write.aio.result());
    CHECK(write.aio.count() == 3);
}

TEST_CASE_TEMPLATE("a cancel during the callback has no effect (W-55)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    unsigned calls = 0;
    std::error_code inside = Errc::not_connected;
    Aio write(fixture.engine(), [&](Aio& aio) {
        ++calls;
        aio.cancel();
        inside = aio.result();
    });
    write.set_iov("one", 3);
    fixture.connection().write_all(write);
    REQUIRE(fixture.run_until([&] { return calls > 0; }));
    fixture.run_some();
    CHECK(calls == 1);
    CHECK(!inside);
    CHECK(!write.result());
    CHECK(write.count() == 3);
}

TEST_CASE_TEMPLATE("a write cancelled before the kernel took it sends nothing (rule 7)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "never");
    fixture.connection().write_all(write.aio);
    write.aio.cancel();
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == failure(Errc::canceled));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE(
    "a blocked write cancelled before its first byte keeps the connection open (rule 7)", Kernel,
    OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    // A write of the free space fills the sockets; the next cannot send a byte.
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    std::size_t filled = 0;
    const auto full = [&] {
        Operation fill(fixture.engine(), payload);
        fixture.connection().write(fill.aio);
        for (int turn = 0; turn < 20 && !fill.done(); ++turn)
            fixture.engine().run_once(1ms);
        if (!fill.done()) fill.aio.cancel();
        REQUIRE(fixture.run_until_done(fill));
        filled += fill.ended().count;
        return fill.ended() == failure(Errc::canceled);
    };
    while (!full())
        REQUIRE(filled < payload.size());
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(filled + 4).substr(filled) == "tail");
}

TEST_CASE_TEMPLATE("random cancels lose no callback and no byte (W-51)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    std::minstd_rand random(7);
    const std::string payload = pattern(ConnectionFixture::kBlocking);
    std::optional<ConnectionFixture> fixture;
    bool over = true;
    std::size_t sent = 0;
    int canceled = 0;
    for (int round = 0; round < (kSanitized ? 100 : 400); ++round) {
        // Each round compares everything received, so a connection does not live for all of them.
        if (over || fixture->peer().received().size() > 4 * payload.size())
            fixture.emplace(Kernel::kKind);
        const std::size_t before = fixture->peer().received().size();
        const std::size_t size = round % 3 == 0 ? payload.size() : 1 + random() % 100'000;
        Operation write(fixture->engine(), std::string_view(payload).substr(0, size));
        fixture->connection().write_all(write.aio);
        for (auto turns = random() % 6; turns > 0; --turns) {
            fixture->engine().run_once(0ns);
            fixture->peer().read_some(random() % 50'000);
        }
        write.aio.cancel();
        const Clock::time_point limit = Clock::now() + kPatience;
        while (!write.done()) {
            REQUIRE(Clock::now() < limit);
            fixture->peer().read_some();
            fixture->engine().run_once(1ms);
        }
        const Ended ended = write.ended();
        CHECK(ended.calls == 1);
        CHECK((ended.error ? ended.error == Errc::canceled : ended.count == size));
        canceled += ended.error == Errc::canceled;
        over = ended.error && ended.count > 0;
        const std::string got =
            over ? fixture->receive_to_end() : fixture->receive(before + ended.count);
        CHECK(got.size() == before + ended.count);
        CHECK(got.compare(before, got.npos, payload, 0, ended.count) == 0);
        sent += ended.count;
    }
    CHECK(sent > 0);
    CHECK(canceled > 0);
}

}  // namespace uaio::http_connection_cancel_test
