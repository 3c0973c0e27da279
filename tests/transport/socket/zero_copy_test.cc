// Writes without a copy: their Aio ends when the kernel releases the bytes, and the next write does
// not wait for that. On loopback the kernel does copy, but only when the bytes leave for the peer,
// so bytes queued in the sender's own buffer show the difference.
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/connection_fixture.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <memory>

#include <doctest/doctest.h>

namespace uaio::zero_copy_test {

using namespace std::chrono_literals;

constexpr std::size_t kPayload = 300'000;

ConnectionFixtureOptions zero_copy_options() {
    ConnectionFixtureOptions options;
    options.stream.zero_copy = ZeroCopy::on;
    return options;
}

const std::string kProbe = pattern(8192);  // the least that ZeroCopy::on sends without a copy

bool kernel_has_zero_copy(ConnectionFixture& fixture) {
    Operation write(fixture.engine(), kProbe);
    fixture.connection().write_all(write.aio);
    fixture.receive(kProbe.size());
    REQUIRE(fixture.run_until_done(write));
    return fixture.engine().statistics().zero_copy_sends > 0;
}

// Bytes that the kernel holds for the peer, unacknowledged or unread.
std::size_t held_by_kernel(ConnectionFixture& fixture) {
    int bytes = 0;
    ::ioctl(fixture.connection().stream().native_handle(), SIOCOUTQ, &bytes);
    return static_cast<std::size_t>(bytes) + fixture.peer().unread();
}

// Makes the send buffer accept kPayload at once; the peer accepts little of it.
void widen_send_buffer(ConnectionFixture& fixture) {
    const int size = 1 << 20;
    REQUIRE(::setsockopt(fixture.connection().stream().native_handle(), SOL_SOCKET, SO_SNDBUF,
                         &size, sizeof size) == 0);
}

// Returns when the kernel has the kPayload bytes of `write` and releases them only as the peer
// reads.
void send_without_notification(ConnectionFixture& fixture, Operation& write) {
    widen_send_buffer(fixture);
    fixture.connection().write_all(write.aio);
    REQUIRE(fixture.run_until([&] { return held_by_kernel(fixture) == kPayload; }));
    fixture.run_some();
}

TEST_CASE(
    "a zero-copy write ends when the kernel releases its bytes, and the next one does not wait for "
    "that") {
    ConnectionFixture fixture(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(fixture)) return report_skip("the kernel has no zero-copy sends");
    widen_send_buffer(fixture);
    const std::string payload = pattern(kPayload);
    Operation first(fixture.engine(), payload);
    Operation second(fixture.engine(), "second");
    fixture.connection().write_all(first.aio);
    fixture.connection().write_all(second.aio);
    // The kernel has all of it, the second write included; the first bytes are not released yet.
    REQUIRE(fixture.run_until([&] { return held_by_kernel(fixture) == kPayload + 6; }));
    fixture.run_some();
    CHECK(first.ended() == kPending);
    CHECK(second.ended() == success(6));
    CHECK(first.aio.busy());
    CHECK(fixture.receive(kProbe.size() + kPayload + 6) == kProbe + payload + "second");
    REQUIRE(fixture.run_until_done(first));
    CHECK(first.ended() == success(kPayload));
    const EngineStatistics statistics = fixture.engine().statistics();
    CHECK(statistics.zero_copy_sends >= 2);
    CHECK(statistics.in_flight == 0);
}

TEST_CASE("a cancel after the bytes are sent has no effect, even before the notification") {
    ConnectionFixture fixture(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(fixture)) return report_skip("the kernel has no zero-copy sends");
    const std::string payload = pattern(kPayload);
    Operation write(fixture.engine(), payload);
    send_without_notification(fixture, write);
    write.aio.cancel();
    fixture.run_some();
    CHECK(write.ended() == kPending);
    CHECK(fixture.receive(kProbe.size() + kPayload) == kProbe + payload);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(kPayload));
    CHECK(fixture.follow_up() == success(4));
}

TEST_CASE("an Aio ends although its connection is destroyed before the notification") {
    ConnectionFixture fixture(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(fixture)) return report_skip("the kernel has no zero-copy sends");
    const std::string payload = pattern(kPayload);
    Operation write(fixture.engine(), payload);
    send_without_notification(fixture, write);
    fixture.drop_connection();
    fixture.run_some();
    CHECK(write.ended() == kPending);
    CHECK(fixture.receive_to_end() == kProbe + payload);
    REQUIRE(fixture.run_until_done(write));
    CHECK(write.ended() == success(kPayload));
    CHECK(fixture.engine().statistics().in_flight == 0);
}

TEST_CASE("zero copy falls back to copying on unix sockets and on epoll") {
    ConnectionFixtureOptions options = zero_copy_options();
    options.unix_socket = true;
    for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
        ConnectionFixture fixture(kind, options);
        const std::string payload = pattern(ConnectionFixture::kBlocking);
        for (std::size_t round = 1; round <= 3; ++round) {
            Operation write(fixture.engine());
            REQUIRE(!write.aio.set_iov(entries_of(payload, round)));
            fixture.connection().write_all(write.aio);
            CHECK(fixture.receive(round * payload.size()).substr((round - 1) * payload.size()) ==
                  payload);
            REQUIRE(fixture.run_until_done(write));
            CHECK(write.ended() == success(payload.size()));
        }
        // Only the first was attempted.
        CHECK(fixture.engine().statistics().zero_copy_sends <= 1);
    }
}

TEST_CASE("zero copy falls back to copying if no pages may be pinned") {
    const KernelKind kind = options_on(KernelKind::io_uring).kernel;
    const ChildEnd end = run_in_child([kind]() -> std::string {
        if (!become_unprivileged(64 * 1024)) return "the limit could not be set";
        ConnectionFixture fixture(kind, zero_copy_options());
        const std::string payload = pattern(ConnectionFixture::kBlocking);
        Operation write(fixture.engine(), payload);
        fixture.connection().write_all(write.aio);
        if (fixture.receive(payload.size()) != payload) return "the bytes differ";
        if (!fixture.run_until_done(write)) return "the operation did not end";
        if (write.ended() != success(payload.size())) return write.ended().error.message();
        return fixture.follow_up() == success(4) ? "" : "the next write failed";
    });
    INFO(end.output);
    CHECK(end.succeeded());
}

TEST_CASE("the engine counts the kernel's reports of copied sends") {
    for (const unsigned rate : {0u, 1000u}) {
        SimKernel kernel(1, {.zero_copy_copied = rate});
        Engine engine(kernel);
        tcp::ListenOptions options;
        options.stream = zero_copy_options().stream;
        tcp::Listener listener(engine, Endpoint::loopback(0), options);
        kernel.connect_peer(listener.local_endpoint().port());
        StreamPtr stream;
        Operation accept(engine);
        listener.accept(accept.aio, stream);
        REQUIRE(!accept.aio.wait());
        const std::string payload = pattern(kPayload);
        Operation write(engine, payload);
        stream->write_all(write.aio);
        REQUIRE(!write.aio.wait());
        const EngineStatistics statistics = engine.statistics();
        CHECK(statistics.zero_copy_sends > 0);
        CHECK(statistics.zero_copy_copied == (rate > 0 ? statistics.zero_copy_sends : 0));
    }
}

}  // namespace uaio::zero_copy_test
