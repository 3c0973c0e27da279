// In steady state an operation allocates nothing on the heap, whatever its kind and the thread that
// submits it.
#include <uaio/aio.h>
#include <uaio/engine_group.h>

#include "tests/support/allocations.h"
#include "tests/support/connection_fixture.h"
#include "tests/support/nop.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::engine_allocation_test {

using namespace std::chrono_literals;

constexpr int kWarmUp = 100;
constexpr int kRounds = 500;

// Allocations of this thread in kRounds calls of `operation`, after some uncounted ones.
template <class F>
std::uint64_t allocations_of(F operation) {
    for (int round = 0; round < kWarmUp; ++round)
        operation();
    const std::uint64_t before = thread_allocations();
    for (int round = 0; round < kRounds; ++round)
        operation();
    return thread_allocations() - before;
}

// Receives the available bytes and discards them, since keeping them would allocate.
void swallow(RawPeer& peer) {
    static char sink[1 << 16];
    while (::recv(peer.fd(), sink, sizeof sink, MSG_DONTWAIT) > 0) {
    }
}

TEST_CASE("AllocationCounter counts allocations") {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    const std::uint64_t before = thread_allocations();
    const std::int64_t live = live_allocations();
    auto one = std::make_unique<int>(1);
    CHECK(thread_allocations() > before);
    one.reset();
    CHECK(live_allocations() == live);
}

TEST_CASE_TEMPLATE("an engine whose constructor runs out of memory leaves no descriptor open",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    const EngineOptions options = options_on(Kernel::kKind);
    const std::size_t descriptors = open_descriptors();
    int refused = 0;
    for (std::uint64_t others = 0;; ++others) {
        fail_allocation_behind(others);
        try {
            const Engine engine(options);
        } catch (const std::bad_alloc&) {
            ++refused;
        }
        if (!stop_failing()) break;
        REQUIRE(open_descriptors() == descriptors);
    }
    CHECK(refused > 3);
}

TEST_CASE_TEMPLATE("writes and reads allocate nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(8 * 100);
    const std::vector<iovec> buffers = entries_of(payload, 8);
    char in[10];
    Aio write(fixture.engine()), small(fixture.engine()), some(fixture.engine()),
        read(fixture.engine());
    small.set_iov("small", 5);
    some.set_iov("some", 4);
    bool ok = true;
    const std::uint64_t count = allocations_of([&] {
        ok &= !write.set_iov(buffers);
        read.set_iov(in, sizeof in);
        fixture.connection().write_all(write);
        fixture.connection().write_all(small);
        fixture.connection().write(some);
        fixture.connection().read_all(read);
        ok &= ::send(fixture.peer().fd(), "0123456789", 10, 0) == 10;
        ok &= !write.wait() && !small.wait() && !some.wait() && !read.wait();
        swallow(fixture.peer().socket());
    });
    CHECK(ok);
    CHECK(count == 0);
}

TEST_CASE_TEMPLATE("blocked writes that wait for room allocate nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(ConnectionFixture::kBlocking / 4);
    Aio write(fixture.engine());
    write.set_iov(payload.data(), payload.size());
    bool ok = true;
    const std::uint64_t count = allocations_of([&] {
        fixture.connection().write_all(write);
        while (write.busy()) {
            fixture.engine().run_once(1ms);
            swallow(fixture.peer().socket());
        }
        ok &= !write.result();
    });
    CHECK(ok);
    CHECK(count == 0);
}

TEST_CASE_TEMPLATE("deadlines and cancels allocate nothing", Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(Kernel::kKind);
    char in[10];
    Aio expires(fixture.engine()), cancelled(fixture.engine()), queued(fixture.engine());
    for (Aio* aio : {&expires, &cancelled, &queued})
        aio->set_iov(in, sizeof in);
    expires.set_timeout(10us);
    bool ok = true;
    const std::uint64_t count = allocations_of([&] {
        fixture.connection().read(cancelled);
        fixture.connection().read(queued);
        fixture.engine().run_once(0ns);
        queued.cancel();
        cancelled.cancel();
        ok &= cancelled.wait() == Errc::canceled && queued.wait() == Errc::canceled;
        fixture.connection().read(expires);
        ok &= expires.wait() == Errc::timed_out;
    });
    CHECK(ok);
    CHECK(count == 0);
}

TEST_CASE_TEMPLATE("verbs and cancels of another thread allocate nothing on either thread", Kernel,
                   OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    EngineThread io(options_on(Kernel::kKind));
    std::uint64_t on_engine = 0;
    Aio nop(io.engine(), [&on_engine](Aio&) { on_engine = thread_allocations(); });
    Aio parked(io.engine());
    bool ok = true;
    const auto round = [&] {
        submit_parked(parked);
        submit_nop(nop);
        ok &= !nop.wait();
        parked.cancel();
        ok &= parked.wait() == Errc::canceled;
    };
    for (int i = 0; i < kWarmUp; ++i)
        round();
    const std::uint64_t here = thread_allocations();
    const std::uint64_t there = on_engine;
    for (int i = 0; i < kRounds; ++i)
        round();
    CHECK(ok);
    CHECK(thread_allocations() == here);
    CHECK(on_engine == there);
}

TEST_CASE_TEMPLATE("a cancel of another thread takes effect although every allocation fails",
                   Kernel, OnLinux, OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(Kernel::kKind);
    char in[1];
    std::vector<std::unique_ptr<Operation>> reads;
    for (int i = 0; i < 200; ++i) {
        reads.push_back(std::make_unique<Operation>(fixture.engine()));
        reads.back()->aio.set_iov(in, sizeof in);
        fixture.connection().read(reads.back()->aio);
    }
    // No thread runs the engine meanwhile, so that the requests accumulate.
    int failed = 0;
    std::thread([&reads, &failed] {
        for (const auto& read : reads) {
            fail_next_allocation();
            read->aio.cancel();
            failed += stop_failing();
        }
    }).join();
    CHECK(failed > 0);
    REQUIRE(fixture.run_until([&reads] {
        return std::ranges::all_of(reads, [](const auto& read) { return read->done(); });
    }));
    for (const auto& read : reads)
        CHECK(read->ended() == failure(Errc::canceled));
}

TEST_CASE_TEMPLATE("an iovec list longer than the inline entries allocates once", Kernel, OnLinux,
                   OnPoll) {
    if (!allocations_are_counted())
        return report_skip("a sanitizer or valgrind replaces the allocator");
    ConnectionFixture fixture(Kernel::kKind);
    const std::string payload = pattern(1024);
    const std::vector<iovec> inside = entries_of(payload, kInlineIov);
    const std::vector<iovec> many = entries_of(payload, 1024);
    const std::vector<iovec> fewer = entries_of(payload, 100);
    Aio write(fixture.engine());
    const std::uint64_t before = thread_allocations();
    CHECK(!write.set_iov(inside));
    const std::uint64_t for_inside = thread_allocations() - before;
    CHECK(!write.set_iov(many));
    const std::uint64_t for_many = thread_allocations() - before;
    CHECK(!write.set_iov(fewer));
    CHECK(!write.set_iov(many));
    CHECK(!write.set_iov(inside));
    const std::uint64_t for_all = thread_allocations() - before;
    CHECK(for_inside == 0);
    CHECK(for_many == 1);
    CHECK(for_all == 1);
}

}  // namespace uaio::engine_allocation_test
