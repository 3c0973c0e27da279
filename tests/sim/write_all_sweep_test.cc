// One write_all of 64 KiB in eight entries, disturbed at every point: split at every byte,
// cancelled at every step of the kernel, expired at every moment. The oracle each time: one
// callback, the count is what the peer got, in order, no byte read after the callback, no resource
// left.
#include <uaio/engine.h>
#include <uaio/http.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/kernels.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::write_all_sweep_test {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kTotal = 64 * 1024;
constexpr std::size_t kLengths[] = {1, 0, 4095, 8192, 20000, 3, 13245, 20000};

std::string pattern() {
    std::string bytes(kTotal, '\0');
    for (std::size_t i = 0; i < kTotal; ++i)
        bytes[i] = static_cast<char>((i * 2654435761u) >> 11);
    return bytes;
}

const std::string& expected() {
    static const std::string bytes = pattern();
    return bytes;
}

// A connection with the write under test, one queued behind it, and a read that waits.
class Stage {
public:
    Stage(std::uint64_t seed, const Faults& faults)
        : kernel(seed, faults),
          engine(kernel),
          listener(engine, Endpoint::loopback(80)),
          peer(kernel.connect_peer(80)),
          write(engine, [this](Aio&) { on_written(); }),
          behind(engine, [this](Aio&) { ++behind_callbacks; }),
          read(engine, [this](Aio&) { ++read_callbacks; }) {
        StreamPtr stream;
        Aio accepted(engine);
        listener.accept(accepted, stream);
        REQUIRE(!accepted.wait());
        connection = std::make_unique<http::Connection>(std::move(stream));
        std::vector<iovec> entries;
        std::size_t at = 0;
        for (const std::size_t length : kLengths) {
            buffers.emplace_back(new char[length]);
            std::memcpy(buffers.back().get(), expected().data() + at, length);
            entries.push_back({buffers.back().get(), length});
            at += length;
        }
        REQUIRE(at == kTotal);
        REQUIRE(!write.set_iov(entries));
        behind.set_iov("more", 4);
        read.set_iov(incoming, sizeof incoming);
    }

    void start() {
        connection->write_all(write);
        connection->write_all(behind);
        connection->read(read);
    }

    // Until the writes have ended; bounded, since virtual time is free.
    void settle() {
        for (int turn = 0; turn < 10000 && (callbacks == 0 || behind_callbacks == 0); ++turn) {
            engine.run_once(milliseconds(1));
        }
    }

    // The invariants, however the write ended. `asked` is the only error it may have ended with.
    void judge(std::error_code asked) {
        const std::error_code result = write.result();
        const std::size_t count = write.count();
        REQUIRE(callbacks == 1);
        REQUIRE(behind_callbacks == 1);
        REQUIRE((!result || result == asked));
        REQUIRE((count == kTotal) == !result);
        const bool torn = result && count > 0;
        REQUIRE(behind.result() == (torn ? make_error_code(Errc::closed) : std::error_code()));
        REQUIRE(behind.count() == (torn ? 0 : 4));
        connection->close();
        for (int turn = 0; turn < 100 && read_callbacks == 0; ++turn) {
            engine.run_once(milliseconds(1));
        }
        REQUIRE(read_callbacks == 1);
        REQUIRE(read.result() == Errc::closed);
        connection.reset();
        listener.close();
        for (int turn = 0; turn < 10; ++turn)
            engine.run_once(milliseconds(1));
        kernel.advance(std::chrono::seconds(10));
        const std::string& got = peer.received();
        REQUIRE(got.size() == count + behind.count());
        REQUIRE(got.compare(0, count, expected(), 0, count) == 0);
        if (!torn) REQUIRE(got.substr(count) == "more");
        REQUIRE(peer.saw_fin());
        REQUIRE(kernel.pending_operations() == 0);
        REQUIRE(kernel.open_descriptors() == 0);
        REQUIRE(engine.statistics().in_flight == 0);
    }

    SimKernel kernel;
    Engine engine;
    tcp::Listener listener;
    SimPeer& peer;
    std::unique_ptr<http::Connection> connection;
    std::vector<std::unique_ptr<char[]>> buffers;
    char incoming[16];
    Aio write;
    Aio behind;
    Aio read;
    int callbacks = 0;
    int behind_callbacks = 0;
    int read_callbacks = 0;

private:
    // Frees the buffers at once: a sanitizer detects an access by the kernel, and so does the peer.
    void on_written() {
        ++callbacks;
        for (std::size_t i = 0; i < buffers.size(); ++i) {
            std::memset(buffers[i].get(), 0xdd, kLengths[i]);
            buffers[i].reset();
        }
    }
};

// A kernel on which the write takes many steps.
Faults busy_kernel(bool waitall) {
    Faults faults;
    faults.short_write = 500;
    faults.late_cancel = 300;
    faults.lost_cancel = 300;
    faults.reorder = 300;
    faults.interrupted_operation = 50;
    faults.interrupted_enter = 100;
    faults.window = 5000;
    faults.latency_max = nanoseconds(3000);
    faults.no_waitall = !waitall;
    return faults;
}

TEST_CASE("a write_all of 64 KiB split at every byte offset arrives whole") {
    const std::size_t stride = kSanitized ? 13 : 1;
    for (std::size_t offset = 1; offset < kTotal; offset += stride) {
        CAPTURE(offset);
        Stage stage(1, {});
        stage.kernel.script_send_lengths({offset});
        stage.start();
        stage.settle();
        stage.judge({});
    }
}

TEST_CASE("a write_all split at any two bytes of its first two hundred arrives whole") {
    const std::size_t stride = kSanitized ? 7 : 1;
    for (std::size_t first = 1; first < 200; first += stride) {
        for (std::size_t second = 1; first + second < 200; second += stride) {
            CAPTURE(first);
            CAPTURE(second);
            Stage stage(1, {});
            stage.kernel.script_send_lengths({first, second});
            stage.start();
            stage.settle();
            stage.judge({});
        }
    }
}

void cancel_everywhere(std::uint64_t seed, bool waitall, bool abort) {
    const std::error_code reason =
        abort ? std::make_error_code(std::errc::owner_dead) : make_error_code(Errc::canceled);
    std::uint64_t steps = 1;
    std::size_t ended_early = 0;
    for (std::uint64_t step = 0; step < steps; ++step) {
        CAPTURE(seed);
        CAPTURE(step);
        Stage stage(seed, busy_kernel(waitall));
        stage.peer.read_slowly(20000);
        const std::uint64_t before = stage.kernel.steps();
        if (step > 0) {
            stage.kernel.at_step(before + step,
                                 [&] { abort ? stage.write.abort(reason) : stage.write.cancel(); });
        }
        stage.start();
        stage.settle();
        if (step == 0) steps = stage.kernel.steps() - before;
        ended_early += stage.write.result() ? 1 : 0;
        stage.judge(reason);
    }
    CHECK(ended_early > steps / 4);
}

TEST_CASE("a write_all cancelled at every step counts exactly the bytes sent") {
    const std::uint64_t seeds = kSanitized ? 3 : 12;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        cancel_everywhere(seed, true, false);
}

TEST_CASE(
    "a write_all cancelled at every step counts exactly the bytes sent, without MSG_WAITALL") {
    const std::uint64_t seeds = kSanitized ? 3 : 12;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        cancel_everywhere(seed, false, false);
}

TEST_CASE("a write_all aborted at every step ends with the caller's reason") {
    const std::uint64_t seeds = kSanitized ? 2 : 6;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed)
        cancel_everywhere(seed, seed % 2 == 0, true);
}

TEST_CASE("a write_all that expires at any moment counts exactly the bytes sent") {
    const nanoseconds stride(kSanitized ? 20011 : 1021);  // the timers' tick is 1024 ns
    for (const bool waitall : {true, false}) {
        nanoseconds duration(0);
        {
            Stage stage(7, busy_kernel(waitall));
            stage.peer.read_slowly(40000);
            const Clock::time_point begun = stage.engine.now();
            stage.start();
            stage.settle();
            duration = stage.engine.now() - begun;
            stage.judge({});
        }
        std::size_t expired = 0;
        for (nanoseconds limit(0); limit <= duration; limit += stride) {
            CAPTURE(limit.count());
            Stage stage(7, busy_kernel(waitall));
            stage.peer.read_slowly(40000);
            stage.write.set_timeout(limit);
            stage.start();
            stage.settle();
            expired += stage.write.result() ? 1 : 0;
            if (limit.count() == 0) REQUIRE(stage.write.count() == 0);
            stage.judge(Errc::timed_out);
        }
        CHECK(expired > 10);
    }
}

TEST_CASE("a timeout of a day expires exactly in virtual time") {
    Stage stage(1, {});
    stage.peer.read_nothing();
    stage.peer.set_window(1000);
    stage.write.set_timeout(std::chrono::hours(24));
    const Clock::time_point begun = stage.engine.now();
    stage.connection->write_all(stage.write);
    CHECK(stage.write.wait() == Errc::timed_out);
    const nanoseconds waited = stage.engine.now() - begun;
    CHECK(waited >= std::chrono::hours(24));
    CHECK(waited < std::chrono::hours(24) + std::chrono::microseconds(2));
}

}  // namespace uaio::write_all_sweep_test
