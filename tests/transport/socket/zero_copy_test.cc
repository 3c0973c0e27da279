// Writes without a copy: their Aio ends when the kernel releases the bytes, and the next write does
// not wait for that. On loopback the kernel does copy, but only when the bytes leave for the peer,
// so bytes queued in the sender's own buffer show the difference.
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/child_process.h"
#include "tests/support/wire.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <memory>

#include <doctest/doctest.h>

namespace uaio {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBody = 300'000;

WireOptions zero_copy_options() {
    WireOptions options;
    options.stream.zero_copy = ZeroCopy::on;
    return options;
}

bool kernel_has_zero_copy(Wire& wire) {
    static_cast<void>(wire.follow_up());
    wire.receive(4);
    return wire.engine().statistics().zero_copy_sends > 0;
}

// Bytes that the kernel holds for the peer, unacknowledged or unread.
std::size_t held_by_kernel(Wire& wire) {
    int bytes = 0;
    ::ioctl(wire.connection().stream().native_handle(), SIOCOUTQ, &bytes);
    return static_cast<std::size_t>(bytes) + wire.peer().unread();
}

// Makes the send buffer accept kBody at once; the peer accepts little of it.
void widen_send_buffer(Wire& wire) {
    const int size = 1 << 20;
    REQUIRE(::setsockopt(wire.connection().stream().native_handle(), SOL_SOCKET, SO_SNDBUF, &size,
                         sizeof size) == 0);
}

TEST_CASE(
    "a zero-copy write ends when the kernel releases its bytes, and the next one does not wait for "
    "that") {
    Wire wire(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(wire)) return report_skip("the kernel has no zero-copy sends");
    widen_send_buffer(wire);
    const std::string body = pattern(kBody);
    Operation first(wire.engine(), body);
    Operation second(wire.engine(), "second");
    wire.connection().write_all(first.aio);
    wire.connection().write_all(second.aio);
    // The kernel has all of it, the second write included; the first bytes are not released yet.
    REQUIRE(wire.run_until([&] { return held_by_kernel(wire) == kBody + 6; }));
    wire.run_some();
    CHECK(first.ended() == kPending);
    CHECK(second.ended() == kPending);
    CHECK(first.aio.busy());
    CHECK(wire.receive(4 + kBody + 6) == "tail" + body + "second");
    REQUIRE(wire.run_until([&] { return first.done() && second.done(); }));
    CHECK(first.ended() == success(kBody));
    CHECK(second.ended() == success(6));
    const EngineStatistics statistics = wire.engine().statistics();
    CHECK(statistics.zero_copy_sends >= 3);
    CHECK(statistics.in_flight == 0);
}

TEST_CASE("a cancel after the bytes are sent has no effect, even before the notification") {
    Wire wire(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(wire)) return report_skip("the kernel has no zero-copy sends");
    widen_send_buffer(wire);
    const std::string body = pattern(kBody);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until([&] { return held_by_kernel(wire) == kBody; }));
    wire.run_some();
    write.aio.cancel();
    wire.run_some();
    CHECK(write.ended() == kPending);
    CHECK(wire.receive(4 + kBody) == "tail" + body);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(kBody));
    CHECK(wire.follow_up() == success(4));
}

TEST_CASE("an Aio ends although its connection is destroyed before the notification") {
    Wire wire(KernelKind::io_uring, zero_copy_options());
    if (!kernel_has_zero_copy(wire)) return report_skip("the kernel has no zero-copy sends");
    widen_send_buffer(wire);
    const std::string body = pattern(kBody);
    Operation write(wire.engine(), body);
    wire.connection().write_all(write.aio);
    REQUIRE(wire.run_until([&] { return held_by_kernel(wire) == kBody; }));
    wire.run_some();
    wire.drop_connection();
    wire.run_some();
    CHECK(write.ended() == kPending);
    CHECK(wire.receive_to_end() == "tail" + body);
    REQUIRE(wire.run_until_done(write));
    CHECK(write.ended() == success(kBody));
    CHECK(wire.engine().statistics().in_flight == 0);
}

TEST_CASE("zero copy falls back to copying on unix sockets and on epoll") {
    WireOptions options = zero_copy_options();
    options.unix_socket = true;
    for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
        Wire wire(kind, options);
        const std::string body = pattern(Wire::kBlocking);
        for (std::size_t round = 1; round <= 3; ++round) {
            Operation write(wire.engine());
            REQUIRE(!write.aio.set_iov(entries_of(body, round)));
            wire.connection().write_all(write.aio);
            CHECK(wire.receive(round * body.size()).substr((round - 1) * body.size()) == body);
            REQUIRE(wire.run_until_done(write));
            CHECK(write.ended() == success(body.size()));
        }
        // Only the first was attempted.
        CHECK(wire.engine().statistics().zero_copy_sends <= 1);
    }
}

TEST_CASE("zero copy falls back to copying if no pages may be pinned") {
    const KernelKind kind = options_on(KernelKind::io_uring).kernel;
    const ChildEnd end = run_in_child([kind]() -> std::string {
        if (!become_unprivileged(64 * 1024)) return "the limit could not be set";
        Wire wire(kind, zero_copy_options());
        const std::string body = pattern(Wire::kBlocking);
        Operation write(wire.engine(), body);
        wire.connection().write_all(write.aio);
        if (wire.receive(body.size()) != body) return "the bytes differ";
        if (!wire.run_until_done(write)) return "the operation did not end";
        if (write.ended() != success(body.size())) return write.ended().error.message();
        return wire.follow_up() == success(4) ? "" : "the next write failed";
    });
    INFO(end.output);
    CHECK(end.well());
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
        const std::string body = pattern(kBody);
        Operation write(engine, body);
        stream->write_all(write.aio);
        REQUIRE(!write.aio.wait());
        const EngineStatistics statistics = engine.statistics();
        CHECK(statistics.zero_copy_sends > 0);
        CHECK(statistics.zero_copy_copied == (rate > 0 ? statistics.zero_copy_sends : 0));
    }
}

}  // namespace
}  // namespace uaio
