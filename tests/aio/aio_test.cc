// The Aio alone: what it stores, and what it refuses.
#include <uaio/aio.h>
#include <uaio/engine.h>

#include "tests/support/allocations.h"
#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::aio_test {

using namespace std::chrono_literals;

TEST_CASE("an Aio is at most 384 bytes with eight entries inside") {
    if (kInlineIov == 8) CHECK(sizeof(Aio) <= 384);
    CHECK(!std::is_copy_constructible_v<Aio>);
    CHECK(!std::is_move_constructible_v<Aio>);
}

TEST_CASE("a fresh Aio is idle without an error and without a count") {
    Engine engine(options_on(KernelKind::epoll));
    Aio aio(engine);
    CHECK(!aio.busy());
    CHECK(!aio.result());
    CHECK(aio.count() == 0);
    CHECK(&aio.engine() == &engine);
    CHECK(!aio.wait());
    CHECK(aio.wait_until(engine.now()));
}

TEST_CASE("set_iov takes 0 to 1024 entries and refuses 1025") {
    Engine engine(options_on(KernelKind::epoll));
    Aio aio(engine);
    const std::string bytes(2000, 'x');
    for (const std::size_t entries :
         {std::size_t{1}, std::size_t{kInlineIov}, std::size_t{kInlineIov + 1}, std::size_t{1024},
          std::size_t{3}}) {
        CHECK(!aio.set_iov(entries_of(bytes, entries)));
    }
    CHECK(!aio.set_iov(std::span<const iovec>()));
    CHECK(aio.set_iov(entries_of(bytes, 1025)) == Errc::invalid_argument);
    CHECK(aio.set_iov(entries_of(bytes, 2000)) == Errc::invalid_argument);
    CHECK(!aio.set_iov(entries_of(bytes, 1024)));
}

TEST_CASE("set_iov reports a failed allocation and keeps the previous iovec list") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(KernelKind::epoll);
    const std::string bytes(1024, 'x');
    const std::vector<iovec> some = entries_of(bytes, kInlineIov + 1);
    const std::vector<iovec> many = entries_of(bytes, 1024);
    Operation write(fixture.engine(), "old");
    fail_next_allocation();
    const std::error_code refused = write.aio.set_iov(some);
    CHECK(refused == Errc::not_enough_memory);
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(3) == "old");
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(3));

    // The same with an allocated list; it stays allocated, and serves as many entries again.
    REQUIRE(!write.aio.set_iov(some));
    fail_next_allocation();
    const std::error_code refused_again = write.aio.set_iov(many);
    CHECK(refused_again == Errc::not_enough_memory);
    write.forget();
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(3 + bytes.size()).substr(3) == bytes);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
    CHECK(!write.aio.set_iov(many));
}

TEST_CASE("an Aio keeps a callback of up to four pointers and destroys it") {
    Engine engine(options_on(KernelKind::epoll));
    const auto watched = std::make_shared<int>(0);
    const std::array<void*, 2> room{};
    {
        Aio aio(engine, [watched, room](Aio&) { *watched += room[0] == nullptr; });
        CHECK(watched.use_count() == 2);
        engine.run_once(0ns);
        CHECK(watched.use_count() == 2);
    }
    CHECK(watched.use_count() == 1);
}

TEST_CASE("the callback of an Aio may be a move-only object") {
    ConnectionFixture fixture(KernelKind::epoll);
    auto text = std::make_unique<std::string>();
    std::string* const seen = text.get();
    Aio aio(fixture.engine(), [text = std::move(text)](Aio& done) {
        *text = "count " + std::to_string(done.count());
    });
    aio.set_iov("abc", 3);
    fixture.connection().write_all(aio);
    REQUIRE(!aio.wait());
    CHECK(*seen == "count 3");
}

TEST_CASE_TEMPLATE("there is no result while an operation is pending", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(4, '\0');
    Operation read(fixture.engine(), in);
    read.aio.set_timeout(0ns);
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.aio.result() == Errc::timed_out);
    read.forget();
    read.aio.set_timeout(kNoTimeout);
    fixture.connection().read_all(read.aio);
    CHECK(read.aio.busy());
    CHECK(!read.aio.result());
    fixture.run_some();
    CHECK(read.aio.busy());
    CHECK(!read.aio.result());
    fixture.peer().send("abcd");
    REQUIRE(fixture.run_until_done(read));
    CHECK(!read.aio.busy());
    CHECK(read.aio.count() == 4);
}

TEST_CASE_TEMPLATE("set_deadline applies to the next operation only", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(4, '\0');
    Operation read(fixture.engine(), in);
    const Clock::time_point deadline = fixture.engine().now() + 20ms;
    read.aio.set_deadline(deadline);
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(fixture.engine().now() >= deadline);
    CHECK(read.ended() == failure(Errc::timed_out));

    read.forget();
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abcd");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(4));

    // A deadline in the past expires at once, also one before the epoch.
    for (const Clock::time_point past : {fixture.engine().now() - 1ns, Clock::time_point::min()}) {
        read.forget();
        read.aio.set_deadline(past);
        fixture.connection().read_all(read.aio);
        REQUIRE(fixture.run_until_done(read));
        CHECK(read.ended() == failure(Errc::timed_out));
    }
}

TEST_CASE_TEMPLATE("a deadline replaces the timeout for one operation", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(4, '\0');
    Operation read(fixture.engine(), in);
    read.aio.set_timeout(0ns);
    read.aio.set_deadline(Clock::time_point::max());
    fixture.connection().read_all(read.aio);
    fixture.peer().send("abcd");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(4));
    read.forget();
    fixture.connection().read_all(read.aio);
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == failure(Errc::timed_out));
}

TEST_CASE_TEMPLATE("a timeout beyond the range of the clock never expires", Kernel, OnLinux,
                   OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "abc");
    for (const std::chrono::nanoseconds timeout : {kNoTimeout - 1ns, kNoTimeout}) {
        write.forget();
        write.aio.set_timeout(timeout);
        fixture.connection().write_all(write.aio);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(3));
    }
}

TEST_CASE_TEMPLATE("an engine waits although a deadline is at the end of the clock", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string in(4, '\0');
    Operation read(fixture.engine(), in);
    read.aio.set_deadline(Clock::time_point::max() - 1ns);
    fixture.connection().read_all(read.aio);
    fixture.run_some();
    const Clock::time_point begin = Clock::now();
    int turns = 0;
    for (; Clock::now() < begin + 5ms; ++turns)
        fixture.engine().run_once(begin + 5ms - Clock::now());
    CHECK(turns <= 3);  // a signal may end one early
    fixture.peer().send("abcd");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(4));
}

TEST_CASE_TEMPLATE("result and count stay until the next operation", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "abc");
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_done(write));
    write.aio.set_timeout(0ns);
    write.aio.set_iov("de", 2);
    fixture.run_some();
    CHECK(!write.aio.result());
    CHECK(write.aio.count() == 3);
}

// --- Misuse: debug builds abort with a message, others ignore and count it. ---

// Runs `misuse` while `busy` is a pending read and the engine logs to a string.
std::string misuse_in_child(void (*misuse)(ConnectionFixture&, Operation&)) {
    std::string logged;
    ConnectionFixtureOptions options;
    options.engine.log = [&logged](LogLevel, std::string_view text) { logged += text; };
    ConnectionFixture fixture(KernelKind::epoll, options);
    std::string in(4, '\0');
    Operation busy(fixture.engine(), in);
    fixture.connection().read_all(busy.aio);
    fixture.run_some();
    misuse(fixture, busy);
    if (fixture.engine().statistics().misuse != 1) return "the misuse was not counted";
    if (logged.empty()) return "the misuse was not logged";
    fixture.peer().send("abcd");
    if (!fixture.run_until_done(busy)) return "the operation did not end";
    if (busy.ended() != success(4) || in != "abcd") return "the operation was affected";
    if (fixture.follow_up() != success(4)) return "the connection was affected";
    return "";
}

void check_misuse(void (*misuse)(ConnectionFixture&, Operation&), std::string_view message) {
    const ChildEnd end = run_in_child([&] { return misuse_in_child(misuse); });
    INFO(end.output);
    if (kMisuseStops) {
        CHECK(end.signal == SIGABRT);
        CHECK(end.output.find(message) != std::string::npos);
    } else {
        CHECK(end.succeeded());
    }
}

TEST_CASE("submitting a busy Aio is ignored and counted, or stops a debug build (W-48)") {
    check_misuse([](ConnectionFixture& fixture,
                    Operation& busy) { fixture.connection().write_all(busy.aio); },
                 "submitted on a busy Aio");
}

TEST_CASE("set_iov on a busy Aio is ignored and counted, or stops a debug build (W-47)") {
    check_misuse([](ConnectionFixture&, Operation& busy) { busy.aio.set_iov("other", 5); },
                 "set_iov on a busy Aio");
}

TEST_CASE("set_deadline on a busy Aio is ignored and counted, or stops a debug build") {
    check_misuse([](ConnectionFixture&,
                    Operation& busy) { busy.aio.set_deadline(Clock::time_point::min()); },
                 "set_deadline on a busy Aio");
}

TEST_CASE(
    "an abort with an empty error code is refused and counted, or stops a debug build (W-14)") {
    check_misuse([](ConnectionFixture&, Operation& busy) { busy.aio.abort({}); },
                 "abort without an error");
}

TEST_CASE("destroying a busy Aio in another's callback stops the program with a message") {
    const ChildEnd end = run_in_child([] {
        ConnectionFixture fixture(KernelKind::epoll);
        auto read = std::make_unique<Operation>(fixture.engine());
        std::string in(4, '\0');
        read->aio.set_iov(in.data(), in.size());
        fixture.connection().read_all(read->aio);
        Aio write(fixture.engine(), [&](Aio&) { read.reset(); });
        write.set_iov("abc", 3);
        fixture.connection().write_all(write);
        fixture.run_some();
        return std::string();
    });
    CHECK(end.signal == SIGABRT);
    CHECK(end.output.find("destroyed in a callback") != std::string::npos);
}

}  // namespace uaio::aio_test
