// The bytes that write_all and write of an http::Connection send, and the vectors that they accept:
// the rows W-1 to W-12 and similar. Cancels, ends and reads have files of their own.
#include <uaio/http.h>

#include "tests/support/wire.h"

#include <sys/mman.h>
#include <unistd.h>

#include <limits>
#include <memory>

#include <doctest/doctest.h>

namespace uaio {
namespace {

TEST_CASE_TEMPLATE("a short write_all succeeds with its length (W-1, rule 4)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "hello");
    wire.connection().write_all(write.aio);
    CHECK(write.aio.busy());
    CHECK(wire.receive(5) == "hello");
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(5));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("wait() works for an Aio without a callback (W-2)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    Aio aio(wire.engine());
    aio.set_iov("hello", 5);
    wire.connection().write_all(aio);
    CHECK(!aio.wait());
    CHECK(!aio.busy());
    CHECK(aio.count() == 5);
    CHECK(wire.receive(5) == "hello");
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("the caller's iovec array may be destroyed after set_iov (W-3)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine());
    std::vector<iovec> vector = entries_of("abcdefgh", 8);
    REQUIRE(!write.aio.set_iov(vector));
    std::fill(vector.begin(), vector.end(), iovec{});
    wire.connection().write_all(write.aio);
    CHECK(wire.receive(8) == "abcdefgh");
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(8));
}

TEST_CASE_TEMPLATE("an iovec list of 1025 entries is refused and the previous one is sent (W-4)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine(), "old");
    const std::string bytes(1025, 'n');
    CHECK(write.aio.set_iov(entries_of(bytes, 1025)) == Errc::invalid_argument);
    wire.connection().write_all(write.aio);
    CHECK(wire.receive(3) == "old");
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(3));
}

TEST_CASE_TEMPLATE("an iovec list of 1024 entries is sent in order", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine());
    const std::string bytes = pattern(1024 * 7);
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 1024)));
    wire.connection().write_all(write.aio);
    CHECK(wire.receive(bytes.size()) == bytes);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
}

TEST_CASE_TEMPLATE(
    "a write without an iovec list fails and keeps the connection open (W-5, rule 2)", Kernel,
    OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation never_set(wire.engine());
    Operation set_empty(wire.engine());
    REQUIRE(!set_empty.aio.set_iov(std::span<const iovec>()));
    wire.connection().write_all(never_set.aio);
    CHECK(never_set.ended() == kPending);  // not inside the call
    wire.connection().write_all(set_empty.aio);
    REQUIRE(wire.run_until([&] { return never_set.done() && set_empty.done(); }));
    CHECK(never_set.ended() == failure(Errc::invalid_argument));
    CHECK(set_empty.ended() == failure(Errc::invalid_argument));
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a write of an iovec list of 0 bytes succeeds with count 0 (W-6, rule 2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    char byte = 'x';
    Operation with_address(wire.engine(), {&byte, 0});
    Operation without(wire.engine());
    without.aio.set_iov(nullptr, 0);
    wire.connection().write_all(with_address.aio);
    wire.connection().write_all(without.aio);
    REQUIRE(wire.run_until([&] { return with_address.done() && without.done(); }));
    CHECK(with_address.ended() == success(0));
    CHECK(without.ended() == success(0));
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("entries of length zero are skipped (W-7, rule 2)", Kernel, OnLinux, OnPoll,
                   OnSim) {
    Wire wire(Kernel::kKind);
    Operation write(wire.engine());
    char text[] = "abc";
    const iovec vector[] = {{text, 0}, {text, 2},     {nullptr, 0},
                            {text, 0}, {text + 2, 1}, {text, 0}};
    REQUIRE(!write.aio.set_iov(vector));
    wire.connection().write_all(write.aio);
    CHECK(wire.receive(3) == "abc");
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(3));
}

TEST_CASE_TEMPLATE("16 MiB in 8 entries of which 5 are empty arrive whole (W-8)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind,
              {.large_buffers = true, .unix_socket = false, .stream = {}, .engine = {}});
    const std::string bytes = pattern(Wire::kBlockingLarge);
    std::vector<iovec> vector = entries_of(bytes, 3);
    for (const std::size_t at : {0, 1, 3, 4, 6})
        vector.insert(vector.begin() + at, iovec{});
    Operation write(wire.engine());
    REQUIRE(!write.aio.set_iov(vector));
    wire.connection().write_all(write.aio);
    REQUIRE(wire.receive(bytes.size()) == bytes);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE_TEMPLATE("a slow reader receives every byte in order (W-9, rule 3)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string bytes = pattern(Wire::kBlocking);
    Operation write(wire.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    CHECK(write.ended() == kPending);
    while (wire.peer().received().size() < bytes.size()) {
        REQUIRE(wire.run_until([&] { return wire.peer().unread() > 0; }));
        wire.peer().read_some(5000);
    }
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(bytes.size()));
    CHECK(wire.peer().received() == bytes);
}

TEST_CASE_TEMPLATE("the same Aio submitted again sends the same bytes again (W-10, rule 4)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string bytes = pattern(Wire::kBlocking);
    Operation write(wire.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    for (std::size_t round = 1; round <= 2; ++round) {
        write.forget();
        wire.connection().write_all(write.aio);
        CHECK(wire.receive(round * bytes.size()).substr((round - 1) * bytes.size()) == bytes);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == success(bytes.size()));
    }
}

TEST_CASE_TEMPLATE("a write of 0 bytes waits for its place in the queue (W-11, rule 2)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string bytes = pattern(Wire::kBlocking);
    Operation head(wire.engine(), bytes);
    Operation nothing(wire.engine(), "");
    wire.connection().write_all(head.aio);
    wire.connection().write_all(nothing.aio);
    REQUIRE(wire.run_until_blocked());
    wire.run_some();
    CHECK(head.ended() == kPending);
    CHECK(nothing.ended() == kPending);
    wire.receive(bytes.size());
    REQUIRE(wire.run_until_done(nothing));
    CHECK(head.ended() == success(bytes.size()));
    CHECK(nothing.ended() == success(0));
}

TEST_CASE_TEMPLATE("write completes with the bytes that fit at once (W-12)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string bytes = pattern(Wire::kBlocking);
    Operation write(wire.engine());
    REQUIRE(!write.aio.set_iov(entries_of(bytes, 8)));
    wire.connection().write(write.aio);
    REQUIRE(wire.run_until_done(write));
    const std::size_t count = write.ended().count;
    CHECK(write.ended() == success(count));
    CHECK(count > 0);
    CHECK(count < bytes.size());
    CHECK(wire.receive(count) == bytes.substr(0, count));
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(count + 4).substr(count) == "tail");
}

TEST_CASE_TEMPLATE("64 queued writes are sent in order (W-44, rules 3 and 9)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    constexpr std::size_t kWrites = 64;
    constexpr std::size_t kSize = 100'000;
    const std::string bytes = pattern(kWrites * kSize);
    std::vector<std::unique_ptr<Operation>> writes;
    for (std::size_t i = 0; i < kWrites; ++i) {
        writes.push_back(std::make_unique<Operation>(
            wire.engine(), std::string_view(bytes).substr(i * kSize, kSize)));
        wire.connection().write_all(writes.back()->aio);
    }
    REQUIRE(wire.receive(bytes.size()) == bytes);
    REQUIRE(wire.run_until_done(*writes.back()));
    for (const auto& write : writes)
        CHECK(write->ended() == success(kSize));
}

TEST_CASE_TEMPLATE("a null entry with a length is refused before anything is sent (W-49, rule 2)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    char text[] = "abc";
    const iovec alone[] = {{nullptr, 5}};
    const iovec last[] = {{text, 3}, {nullptr, 5}};
    for (const auto vector : {std::span<const iovec>(alone), std::span<const iovec>(last)}) {
        Operation write(wire.engine());
        REQUIRE(!write.aio.set_iov(vector));
        wire.connection().write_all(write.aio);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == failure(Errc::invalid_argument));
    }
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("a total over SSIZE_MAX is refused before anything is sent (rule 2)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    constexpr std::size_t kMost = std::numeric_limits<ssize_t>::max();
    char text[] = "abc";
    const iovec one[] = {{text, kMost + 1}};
    const iovec sum[] = {{text, kMost}, {text, 1}};
    for (const auto vector : {std::span<const iovec>(one), std::span<const iovec>(sum)}) {
        Operation write(wire.engine());
        REQUIRE(!write.aio.set_iov(vector));
        wire.connection().write_all(write.aio);
        REQUIRE(wire.run_until_done(write));
        CHECK(write.ended() == failure(Errc::invalid_argument));
    }
    CHECK(wire.follow_up() == success(4));
    CHECK(wire.receive(4) == "tail");
}

TEST_CASE_TEMPLATE("an entry at a bad address ends with EFAULT and the exact count (W-49, rule 5)",
                   Kernel, OnLinux, OnPoll) {
    Wire wire(Kernel::kKind);
    void* const gone = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(gone != MAP_FAILED);
    Operation bad(wire.engine());
    bad.aio.set_iov(gone, 5);
    wire.connection().write_all(bad.aio);
    REQUIRE(wire.run_until_done(bad));
    CHECK(bad.ended() == failure({EFAULT, std::system_category()}));
    CHECK(wire.follow_up() == success(4));

    // The bytes sent before the bad entry are counted, and then the connection ends (rule 7).
    Operation half(wire.engine());
    char text[] = "abc";
    const iovec vector[] = {{text, 3}, {gone, 5}};
    REQUIRE(!half.aio.set_iov(vector));
    wire.connection().write_all(half.aio);
    REQUIRE(wire.run_until_done(half));
    const std::size_t count = half.ended().count;
    CHECK(half.ended() == failure({EFAULT, std::system_category()}, count));
    if (count > 0) {
        CHECK(wire.receive_to_end() == std::string("tail") + std::string("abc").substr(0, count));
        CHECK(wire.follow_up() == failure(Errc::closed));
    } else {
        CHECK(wire.follow_up() == success(4));
    }
    ::munmap(gone, 4096);
}

TEST_CASE_TEMPLATE("a head and the content written after it are sent without a delay (X-8)", Kernel,
                   OnLinux, OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    Operation head(wire.engine(), "head, ");
    Operation body(wire.engine(), "body!");
    char asked = 0;
    Operation read(wire.engine(), std::string_view(&asked, 1));
    const Clock::time_point begin = wire.engine().now();
    constexpr int kRounds = 100;
    for (int round = 1; round <= kRounds; ++round) {
        // A peer that only receives acknowledges at once; one that sends delays that (tcp(7),
        // TCP_QUICKACK).
        read.forget();
        wire.peer().send("?");
        wire.connection().read_all(read.aio);
        REQUIRE(wire.run_until_done(read));
        head.forget();
        body.forget();
        wire.connection().write_all(head.aio);
        REQUIRE(wire.run_until_done(head));
        wire.connection().write_all(body.aio);
        wire.receive(static_cast<std::size_t>(round) * 11);
        REQUIRE(wire.run_until_done(body));
    }
    // With Nagle's algorithm most rounds would wait for a delayed acknowledgement, 40 ms.
    CHECK(wire.engine().now() - begin < kRounds * std::chrono::milliseconds(20));
}

TEST_CASE_TEMPLATE("reads and writes are in flight at the same time (rule 1)", Kernel, OnLinux,
                   OnPoll, OnSim) {
    Wire wire(Kernel::kKind);
    const std::string out = pattern(Wire::kBlocking);
    Operation write(wire.engine(), out);
    std::string in(5, '\0');
    Operation read(wire.engine(), in);
    wire.connection().read_all(read.aio);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until_blocked());
    CHECK(read.ended() == kPending);
    wire.peer().send("hello");
    REQUIRE(wire.run_until_done(read));
    CHECK(read.ended() == success(5));
    CHECK(in == "hello");
    CHECK(write.ended() == kPending);
    wire.receive(out.size());
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(out.size()));
}

TEST_CASE_TEMPLATE("beyond the limit of the queue an operation ends with no_buffer_space (rule 9)",
                   Kernel, OnLinux, OnPoll, OnSim) {
    WireOptions options;
    options.stream.queue_limit = 2;
    Wire wire(Kernel::kKind, options);
    const std::string bytes = pattern(Wire::kBlocking);
    Operation head(wire.engine(), bytes);
    Operation second(wire.engine(), "second");
    Operation third(wire.engine(), "third");
    wire.connection().write_all(head.aio);
    wire.connection().write_all(second.aio);
    wire.connection().write_all(third.aio);
    REQUIRE(wire.run_until_done(third));
    CHECK(third.ended() == failure(Errc::no_buffer_space));
    CHECK(wire.receive(bytes.size() + 6) == bytes + "second");
    REQUIRE(wire.run_until_done(second));
    CHECK(head.ended() == success(bytes.size()));
    CHECK(second.ended() == success(6));
    CHECK(wire.follow_up() == success(4));
}

}  // namespace
}  // namespace uaio
