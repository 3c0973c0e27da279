// The bytes that write_all and write of an http::Connection send, and the iovec lists that they
// accept: the rows W-1 to W-12 and similar. Cancels, ends and reads have files of their own.
#include <uaio/http.h>

#include "tests/support/connection_fixture.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <limits>
#include <memory>

#include <doctest/doctest.h>

namespace uaio::http_connection_test {

TEST_CASE_TEMPLATE("a short write_all succeeds with its length (W-1, rule 4)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "hello");
    fixture.connection().write_all(write.aio);
    CHECK(write.aio.busy());
    CHECK(fixture.receive(5) == "hello");
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(5));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("wait() works for an Aio without a callback (W-2)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Aio aio(fixture.engine());
    aio.set_iov("hello", 5);
    fixture.connection().write_all(aio);
    CHECK(!aio.wait());
    CHECK(!aio.busy());
    CHECK(aio.count() == 5);
    CHECK(fixture.receive(5) == "hello");
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("the caller's iovec array may be destroyed after set_iov (W-3)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine());
    std::vector<iovec> list = entries_of("abcdefgh", 8);
    REQUIRE(!write.aio.set_iov(list));
    std::fill(list.begin(), list.end(), iovec{});
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(8) == "abcdefgh");
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(8));
}

TEST_CASE_TEMPLATE("an iovec list of 1025 entries is refused and the previous one is sent (W-4)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine(), "old");
    const std::string bytes(1025, 'n');
    CHECK(write.aio.set_iov(entries_of(bytes, 1025)) == Errc::invalid_argument);
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(3) == "old");
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(3));
}

TEST_CASE_TEMPLATE("an iovec list of 1024 entries is sent in order", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine());
    const std::string bytes = pattern(1024 * 7);
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 1024)));
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(bytes.size()) == bytes);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
}

TEST_CASE_TEMPLATE(
    "a write without an iovec list fails and keeps the connection open (W-5, rule 2)", Kernel,
    OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation never_set(fixture.engine());
    Operation set_empty(fixture.engine());
    REQUIRE(!set_empty.aio.set_iov(std::span<const iovec>()));
    fixture.connection().write_all(never_set.aio);
    CHECK(never_set.ended() == kPending);  // not inside the call
    fixture.connection().write_all(set_empty.aio);
    REQUIRE(fixture.run_until([&] { return never_set.done() && set_empty.done(); }));
    CHECK(never_set.ended() == failure(Errc::invalid_argument));
    CHECK(set_empty.ended() == failure(Errc::invalid_argument));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a write of an iovec list of 0 bytes succeeds with count 0 (W-6, rule 2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    char byte = 'x';
    Operation with_address(fixture.engine(), {&byte, 0});
    Operation without(fixture.engine());
    without.aio.set_iov(nullptr, 0);
    fixture.connection().write_all(with_address.aio);
    fixture.connection().write_all(without.aio);
    REQUIRE(fixture.run_until([&] { return with_address.done() && without.done(); }));
    CHECK(with_address.ended() == success(0));
    CHECK(without.ended() == success(0));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("entries of length zero are skipped (W-7, rule 2)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation write(fixture.engine());
    char text[] = "abc";
    const iovec list[] = {{text, 0}, {text, 2}, {nullptr, 0}, {text, 0}, {text + 2, 1}, {text, 0}};
    REQUIRE(!write.aio.set_iov(list));
    fixture.connection().write_all(write.aio);
    CHECK(fixture.receive(3) == "abc");
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(3));
}

TEST_CASE_TEMPLATE("16 MiB in 8 entries of which 5 are empty arrive whole (W-8)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(
        Kernel::kKind, {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string bytes = pattern(ConnectionFixture::kBlockingLarge);
    std::vector<iovec> list = entries_of(bytes, 3);
    for (const std::size_t at : {0, 1, 3, 4, 6})
        list.insert(list.begin() + at, iovec{});
    Operation write(fixture.engine());
    REQUIRE(!write.aio.set_iov(list));
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.receive(bytes.size()) == bytes);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a slow reader receives every byte in order (W-9, rule 3)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string bytes = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    CHECK(write.ended() == kPending);
    while (fixture.peer().received().size() < bytes.size()) {
        REQUIRE(fixture.run_until([&] { return fixture.peer().unread() > 0; }));
        fixture.peer().read_some(5000);
    }
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
    CHECK(fixture.peer().received() == bytes);
}

TEST_CASE_TEMPLATE("the same Aio submitted again sends the same bytes again (W-10, rule 4)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string bytes = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    for (std::size_t round = 1; round <= 2; ++round) {
        write.forget();
        fixture.connection().write_all(write.aio);
        CHECK(fixture.receive(round * bytes.size()).substr((round - 1) * bytes.size()) == bytes);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == success(bytes.size()));
    }
}

TEST_CASE_TEMPLATE("a write of 0 bytes waits for its place in the queue (W-11, rule 2)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string bytes = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), bytes);
    Operation nothing(fixture.engine(), "");
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(nothing.aio);
    REQUIRE(fixture.run_until_blocked());
    fixture.run_some();
    CHECK(head.ended() == kPending);
    CHECK(nothing.ended() == kPending);
    fixture.receive(bytes.size());
    REQUIRE(fixture.run_until_done(nothing));
    CHECK(head.ended() == success(bytes.size()));
    CHECK(nothing.ended() == success(0));
}

TEST_CASE_TEMPLATE("write completes with the bytes that fit at once (W-12)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string bytes = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    fixture.connection().write(write.aio);
    REQUIRE(fixture.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == success(count));
    CHECK(count > 0);
    CHECK(count < bytes.size());
    CHECK(fixture.receive(count) == bytes.substr(0, count));
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(count + 4).substr(count) == "tail");
}

TEST_CASE_TEMPLATE("64 queued writes are sent in order (W-44, rules 3 and 9)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    constexpr std::size_t kWrites = 64;
    constexpr std::size_t kSize = 100'000;
    const std::string bytes = pattern(kWrites * kSize);
    std::vector<std::unique_ptr<Operation>> writes;
    for (std::size_t i = 0; i < kWrites; ++i) {
        writes.push_back(std::make_unique<Operation>(
            fixture.engine(), std::string_view(bytes).substr(i * kSize, kSize)));
        fixture.connection().write_all(writes.back()->aio);
    }
    REQUIRE(fixture.receive(bytes.size()) == bytes);
    REQUIRE(fixture.run_until_done(*writes.back()));
    for (const auto& write : writes)
        CHECK(write->ended() == success(kSize));
}

TEST_CASE_TEMPLATE("a null entry with a length is refused before anything is sent (W-49, rule 2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    char text[] = "abc";
    const iovec alone[] = {{nullptr, 5}};
    const iovec last[] = {{text, 3}, {nullptr, 5}};
    for (const auto list : {std::span<const iovec>(alone), std::span<const iovec>(last)}) {
        Operation write(fixture.engine());
        REQUIRE(!write.aio.set_iov(list));
        fixture.connection().write_all(write.aio);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == failure(Errc::invalid_argument));
    }
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a total over SSIZE_MAX is refused before anything is sent (rule 2)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    constexpr std::size_t kMost = std::numeric_limits<ssize_t>::max();
    char text[] = "abc";
    const iovec one[] = {{text, kMost + 1}};
    const iovec sum[] = {{text, kMost}, {text, 1}};
    for (const auto list : {std::span<const iovec>(one), std::span<const iovec>(sum)}) {
        Operation write(fixture.engine());
        REQUIRE(!write.aio.set_iov(list));
        fixture.connection().write_all(write.aio);
        REQUIRE(fixture.run_until_done(write));
        CHECK(write.ended() == failure(Errc::invalid_argument));
    }
    CHECK(fixture.follow_up() == success(4));
    CHECK(fixture.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("an entry at a bad address ends with EFAULT and the exact count (W-49, rule 5)",
                   Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    void* const gone = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(gone != MAP_FAILED);
    Operation bad(fixture.engine());
    bad.aio.set_iov(gone, 5);
    fixture.connection().write_all(bad.aio);
    REQUIRE(fixture.run_until_done(bad));
    CHECK(bad.ended() == failure({EFAULT, std::system_category()}));
    CHECK(fixture.follow_up() == success(4));

    // The bytes sent before the bad entry are counted, and then the connection ends (rule 7).
    Operation half(fixture.engine());
    char text[] = "abc";
    const iovec list[] = {{text, 3}, {gone, 5}};
    REQUIRE(!half.aio.set_iov(list));
    fixture.connection().write_all(half.aio);
    REQUIRE(fixture.run_until_done(half));
    const std::size_t count = half.ended().count;
    CHECK(half.ended() == failure({EFAULT, std::system_category()}, count));
    if (count > 0) {
        CHECK(fixture.receive_to_end() ==
              std::string("tail") + std::string("abc").substr(0, count));
        CHECK(fixture.follow_up() == failure(Errc::closed));
    } else {
        CHECK(fixture.follow_up() == success(4));
    }
    ::munmap(gone, 4096);
}

// Bytes that the kernel has taken and not sent yet.
int unsent(ConnectionFixture& fixture) {
    int bytes = -1;
    REQUIRE(::ioctl(fixture.connection().stream().native_handle(), SIOCOUTQNSD, &bytes) == 0);
    return bytes;
}

TEST_CASE_TEMPLATE("a head and the content written after it are sent without a delay (X-8)", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    Operation head(fixture.engine(), "head, ");
    Operation content(fixture.engine(), "body!");
    char asked = 0;
    Operation read(fixture.engine(), std::string_view(&asked, 1));
    for (std::size_t round = 1; round <= 100; ++round) {
        // A peer that only receives acknowledges at once; one that sends delays that (tcp(7),
        // TCP_QUICKACK).
        read.forget();
        fixture.peer().send("?");
        fixture.connection().read_all(read.aio);
        REQUIRE(fixture.run_until_done(read));
        head.forget();
        content.forget();
        fixture.connection().write_all(head.aio);
        REQUIRE(fixture.run_until_done(head));
        fixture.connection().write_all(content.aio);
        REQUIRE(fixture.run_until_done(content));
        // With Nagle's algorithm it would wait for a delayed acknowledgement, 40 ms.
        CHECK(unsent(fixture) == 0);
        fixture.receive(round * 11);
    }
}

TEST_CASE_TEMPLATE("reads and writes are in flight at the same time (rule 1)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string out = pattern(ConnectionFixture::kBlocking);
    Operation write(fixture.engine(), out);
    std::string in(5, '\0');
    Operation read(fixture.engine(), in);
    fixture.connection().read_all(read.aio);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until_blocked());
    CHECK(read.ended() == kPending);
    fixture.peer().send("hello");
    REQUIRE(fixture.run_until_done(read));
    CHECK(read.ended() == success(5));
    CHECK(in == "hello");
    CHECK(write.ended() == kPending);
    fixture.receive(out.size());
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(out.size()));
}

TEST_CASE_TEMPLATE("beyond the limit of the queue an operation ends with no_buffer_space (rule 9)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    ConnectionFixtureOptions options;
    options.stream.queue_limit = 2;
    ConnectionFixture fixture(Kernel::kKind, options);
    const std::string bytes = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), bytes);
    Operation second(fixture.engine(), "second");
    Operation third(fixture.engine(), "third");
    fixture.connection().write_all(head.aio);
    fixture.connection().write_all(second.aio);
    fixture.connection().write_all(third.aio);
    REQUIRE(fixture.run_until_done(third));
    CHECK(third.ended() == failure(Errc::no_buffer_space));
    CHECK(fixture.receive(bytes.size() + 6) == bytes + "second");
    REQUIRE(fixture.run_until_done(second));
    CHECK(head.ended() == success(bytes.size()));
    CHECK(second.ended() == success(6));
    CHECK(fixture.follow_up() == success(4));
}

}  // namespace uaio::http_connection_test
