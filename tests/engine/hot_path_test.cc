// Between the verb and the callback an operation takes no lock, copies no bytes, and does not enter
// the kernel by itself. engine_allocation_test.cc checks its allocations.
#include <uaio/engine.h>

#include "tests/support/locks.h"
#include "tests/support/wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio {
namespace {

TEST_CASE_TEMPLATE("writes and reads and deadlines take no lock", Kernel, OnLinux, OnPoll) {
    if (!locks_are_counted())
        return report_skip("a sanitizer replaces the functions that count locks");
    Wire wire(Kernel::kKind);
    const std::string body = pattern(8 * 100);
    char in[10];
    char sink[4096];
    Operation write(wire.engine()), behind(wire.engine(), "behind"), read(wire.engine());
    REQUIRE(!write.aio.set_iov(entries_of(body, 8)));
    read.aio.set_iov(in, sizeof in);
    write.aio.set_timeout(std::chrono::seconds(30));
    wire.run_some();  // destroys the connection's listener, which takes a lock
    bool well = true;
    const std::uint64_t before = thread_locks();
    for (int round = 0; round < 100; ++round) {
        wire.connection().read_all(read.aio);
        wire.connection().write_all(write.aio);
        wire.connection().write_all(behind.aio);
        well &= ::send(wire.peer().fd(), "0123456789", 10, 0) == 10;
        well &= !write.aio.wait() && !behind.aio.wait() && !read.aio.wait();
        // Discarded, since a test build's own heap may take locks.
        while (::recv(wire.peer().fd(), sink, sizeof sink, MSG_DONTWAIT) > 0) {
        }
    }
    CHECK(well);
    CHECK(thread_locks() == before);
}

// A copy made earlier would hold the previous bytes.
TEST_CASE_TEMPLATE("the kernel reads the bytes of a write from the caller's buffer", Kernel,
                   OnLinux, OnPoll) {
    Wire wire(Kernel::kKind);
    std::string first(400, 'a'), second(40, 'a'), third(4, 'a');
    Operation front(wire.engine()), queued(wire.engine()), last(wire.engine());
    REQUIRE(!front.aio.set_iov(entries_of(first, 8)));
    REQUIRE(!queued.aio.set_iov(entries_of(second, 2)));
    last.aio.set_iov(third.data(), third.size());
    wire.connection().write_all(front.aio);
    wire.connection().write_all(queued.aio);
    wire.connection().write_all(last.aio);
    std::ranges::fill(first, 'b');
    std::ranges::fill(second, 'b');
    std::ranges::fill(third, 'b');
    CHECK(wire.receive(444) == std::string(444, 'b'));
    REQUIRE(wire.run_until_done(last));
    CHECK(front.ended() == success(400));
}

TEST_CASE_TEMPLATE("a queued write is not copied", Kernel, OnLinux, OnPoll) {
    Wire wire(Kernel::kKind);
    const std::string blocking = pattern(Wire::kBlocking);
    Operation head(wire.engine(), blocking);
    wire.connection().write_all(head.aio);
    REQUIRE(wire.run_until_blocked());
    std::string waiting(300, 'a');
    Operation behind(wire.engine(), waiting), last(wire.engine(), waiting);
    wire.connection().write_all(behind.aio);
    wire.connection().write_all(last.aio);
    wire.run_some();
    std::ranges::fill(waiting, 'b');
    const std::string& got = wire.receive(blocking.size() + 600);
    CHECK(got.substr(blocking.size()) == std::string(600, 'b'));
    REQUIRE(wire.run_until_done(last));
    CHECK(behind.ended() == success(300));
}

TEST_CASE_TEMPLATE("a verb makes no system call before the end of the turn", Kernel, OnLinux,
                   OnPoll) {
    Wire wire(Kernel::kKind);
    wire.engine().run_once(std::chrono::nanoseconds::zero());
    const EngineStatistics before = wire.engine().statistics();
    std::vector<std::unique_ptr<Operation>> writes;
    for (int i = 0; i < 100; ++i) {
        writes.push_back(std::make_unique<Operation>(wire.engine(), "quiet"));
        wire.connection().write_all(writes.back()->aio);
    }
    CHECK(wire.engine().statistics().enters == before.enters);
    REQUIRE(wire.run_until_done(*writes.back()));
}

}  // namespace
}  // namespace uaio
