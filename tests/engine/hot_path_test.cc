// Between the verb and the callback an operation takes no lock, copies no bytes, and does not enter
// the kernel by itself. engine_allocation_test.cc checks its allocations.
#include <uaio/engine.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/locks.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::hot_path_test {

TEST_CASE_TEMPLATE("writes and reads and deadlines take no lock", Kernel, OnLinux, OnPoll) {
    if (!locks_are_counted())
        return report_skip("a sanitizer replaces the functions that count locks");
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(8 * 100);
    char in[10];
    char sink[4096];
    Operation write(fixture.engine()), behind(fixture.engine(), "behind"), read(fixture.engine());
    REQUIRE(!write.aio.set_iov(entries_of(payload, 8)));
    read.aio.set_iov(in, sizeof in);
    write.aio.set_timeout(std::chrono::seconds(30));
    fixture.run_some();  // destroys the connection's listener, which takes a lock
    bool ok = true;
    const std::uint64_t before = thread_locks();
    for (int round = 0; round < 100; ++round) {
        fixture.connection().read_all(read.aio);
        fixture.connection().write_all(write.aio);
        fixture.connection().write_all(behind.aio);
        ok &= ::send(fixture.peer().fd(), "0123456789", 10, 0) == 10;
        ok &= !write.aio.wait() && !behind.aio.wait() && !read.aio.wait();
        // Discarded, since a test build's own heap may take locks.
        while (::recv(fixture.peer().fd(), sink, sizeof sink, MSG_DONTWAIT) > 0) {
        }
    }
    CHECK(ok);
    CHECK(thread_locks() == before);
}

// A copy made earlier would hold the previous bytes.
TEST_CASE_TEMPLATE("the kernel reads the bytes of a write from the caller's buffer", Kernel,
                   OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    std::string first(400, 'a'), second(40, 'a'), third(4, 'a');
    Operation front(fixture.engine()), queued(fixture.engine()), last(fixture.engine());
    REQUIRE(!front.aio.set_iov(entries_of(first, 8)));
    REQUIRE(!queued.aio.set_iov(entries_of(second, 2)));
    last.aio.set_iov(third.data(), third.size());
    fixture.connection().write_all(front.aio);
    fixture.connection().write_all(queued.aio);
    fixture.connection().write_all(last.aio);
    std::ranges::fill(first, 'b');
    std::ranges::fill(second, 'b');
    std::ranges::fill(third, 'b');
    CHECK(fixture.receive(444) == std::string(444, 'b'));
    REQUIRE(fixture.run_until_done(last));
    CHECK(front.ended() == success(400));
}

TEST_CASE_TEMPLATE("a queued write is not copied", Kernel, OnLinux, OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    const std::string blocking = pattern(ConnectionFixture::kBlocking);
    Operation head(fixture.engine(), blocking);
    fixture.connection().write_all(head.aio);
    REQUIRE(fixture.run_until_blocked());
    std::string waiting(300, 'a');
    Operation behind(fixture.engine(), waiting), last(fixture.engine(), waiting);
    fixture.connection().write_all(behind.aio);
    fixture.connection().write_all(last.aio);
    fixture.run_some();
    std::ranges::fill(waiting, 'b');
    const std::string& got = fixture.receive(blocking.size() + 600);
    CHECK(got.substr(blocking.size()) == std::string(600, 'b'));
    REQUIRE(fixture.run_until_done(last));
    CHECK(behind.ended() == success(300));
}

TEST_CASE_TEMPLATE("a verb makes no system call before the end of the turn", Kernel, OnLinux,
                   OnPoll) {
    ConnectionFixture fixture(Kernel::kKind);
    fixture.engine().run_once(std::chrono::nanoseconds::zero());
    const EngineStatistics before = fixture.engine().statistics();
    std::vector<std::unique_ptr<Operation>> writes;
    for (int i = 0; i < 100; ++i) {
        writes.push_back(std::make_unique<Operation>(fixture.engine(), "quiet"));
        fixture.connection().write_all(writes.back()->aio);
    }
    CHECK(fixture.engine().statistics().enters == before.enters);
    REQUIRE(fixture.run_until_done(*writes.back()));
}

}  // namespace uaio::hot_path_test
