// The choice between a copy and none, write by write, on simulated kernels that report what a
// connection would.
#include <uaio/config.h>
#include <uaio/local.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"
#include "tests/support/turns.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace uaio::zero_copy_choice_test {

using namespace std::chrono_literals;

constexpr std::size_t kLarge = kZeroCopyBytes;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kFirstPause = 32;  // large writes

// Of `waiting` writes of `bytes` each, those that leave in a send with others.
constexpr std::size_t gathered(std::size_t waiting, std::size_t bytes) {
    const std::size_t together = std::min<std::size_t>(kGatherEntries, kGatherBytes / bytes);
    if (together < 2) return 0;
    return waiting % together == 1 ? waiting - 1 : waiting;
}

// A stream whose peer, on another host unless the faults say otherwise, reads everything.
class Scene {
public:
    explicit Scene(Faults faults, ZeroCopy zero_copy = ZeroCopy::automatic)
        : kernel_(1, faults), engine_(kernel_), payload_(pattern(4 * kLarge)) {
        tcp::ListenOptions options;
        options.stream.zero_copy = zero_copy;
        tcp::Listener listener(engine_, Endpoint::loopback(0), options);
        peer_ = &kernel_.connect_peer(listener.local_endpoint().port());
        Operation accept(engine_);
        listener.accept(accept.aio, stream_);
        REQUIRE(!accept.aio.wait());
    }

    Engine& engine() { return engine_; }
    SimKernel& kernel() { return kernel_; }
    SimPeer& peer() { return *peer_; }
    Stream& stream() { return *stream_; }
    std::unique_ptr<Operation> start(std::size_t bytes) {
        auto write =
            std::make_unique<Operation>(engine_, std::string_view(payload_).substr(0, bytes));
        stream_->write_all(write->aio);
        return write;
    }
    void write(std::size_t bytes, unsigned times = 1) {
        for (unsigned i = 0; i < times; ++i)
            REQUIRE(!start(bytes)->aio.wait());
    }
    std::uint64_t sends() const { return engine_.statistics().zero_copy_sends; }

private:
    SimKernel kernel_;
    Engine engine_;
    const std::string payload_;
    StreamPtr stream_;
    SimPeer* peer_ = nullptr;
};

const Faults kDistant{.distant = true};

TEST_CASE("automatic sends large writes without a copy, and small ones with one") {
    Scene scene(kDistant);
    scene.write(kLarge - 1, 3);
    CHECK(scene.sends() == 0);
    scene.write(kLarge, 3);
    CHECK(scene.sends() == 3);
    CHECK(scene.peer().received().size() == 3 * (kLarge - 1) + 3 * kLarge);
}

TEST_CASE("automatic copies on the loopback, on epoll's features and on kernels without reports") {
    for (const Faults& faults : {Faults{}, Faults{.no_zero_copy = true, .distant = true},
                                 Faults{.no_waitall = true, .distant = true}}) {
        Scene scene(faults);
        scene.write(kLarge, 3);
        CHECK(scene.sends() == 0);
    }
    ConnectionFixtureOptions options;
    options.stream.zero_copy = ZeroCopy::automatic;
    for (const bool unix_socket : {false, true}) {
        options.unix_socket = unix_socket;
        for (const KernelKind kind : {KernelKind::io_uring, KernelKind::epoll}) {
            ConnectionFixture fixture(kind, options);
            const std::string payload = pattern(ConnectionFixture::kBlocking);
            Operation write(fixture.engine(), payload);
            fixture.connection().write_all(write.aio);
            CHECK(fixture.receive(payload.size()) == payload);
            REQUIRE(fixture.run_until_done(write));
            CHECK(write.ended() == success(payload.size()));
            CHECK(fixture.engine().statistics().zero_copy_sends == 0);
        }
    }
}

TEST_CASE("automatic copies a write of many small entries, and one with a deadline") {
    Scene scene(kDistant);
    const std::string payload = pattern(2 * kLarge);
    Operation write(scene.engine());
    REQUIRE(!write.aio.set_iov(entries_of(payload, 2 * kLarge / kPageBytes + 1)));
    const auto run = [&] {
        write.forget();
        scene.stream().write_all(write.aio);
        REQUIRE(!write.aio.wait());
    };
    run();
    CHECK(scene.sends() == 0);
    REQUIRE(!write.aio.set_iov(entries_of(payload, 2 * kLarge / kPageBytes)));
    write.aio.set_timeout(1h);
    run();
    CHECK(scene.sends() == 0);
    write.aio.set_timeout(kNoTimeout);
    run();
    CHECK(scene.sends() == 1);
}

TEST_CASE("automatic sends one write and copies until the kernel has reported about it") {
    Scene scene(kDistant);
    scene.peer().read_nothing();
    const auto first = scene.start(kLarge);
    const auto second = scene.start(kLarge);
    run_some(scene.engine());
    CHECK(scene.sends() == 1);
    CHECK_FALSE(first->done());
    CHECK(second->ended() == success(kLarge));
    scene.peer().read_everything();
    REQUIRE(!first->aio.wait());
    scene.peer().read_nothing();
    const auto third = scene.start(kLarge);
    const auto fourth = scene.start(kLarge);
    run_some(scene.engine());
    CHECK(scene.sends() == 3);
    scene.peer().read_everything();
    REQUIRE(!third->aio.wait());
    REQUIRE(!fourth->aio.wait());
}

TEST_CASE("automatic stops where the kernel copies, and tries again after ever longer pauses") {
    Scene scene({.zero_copy_copied = 1000, .distant = true});
    scene.write(kLarge, kFirstPause);
    CHECK(scene.sends() == 1);
    scene.write(kLarge);
    CHECK(scene.sends() == 2);
    scene.write(kLarge, 2 * kFirstPause - 1);
    CHECK(scene.sends() == 2);
    scene.write(kLarge);
    CHECK(scene.sends() == 3);
    CHECK(scene.engine().statistics().zero_copy_copied == 3);
}

TEST_CASE("automatic copies where the program would wait for acknowledgements from afar") {
    Scene scene({.delay_min = 20ms, .delay_max = 20ms, .distant = true});
    scene.write(kLarge, 3);
    CHECK(scene.sends() == 3);
    scene.write(kLarge, kFirstPause - 1);
    CHECK(scene.sends() == 3);
    scene.write(kLarge);
    CHECK(scene.sends() == 4);
    // A program that does something else meanwhile did not wait for the notification.
    Scene busy({.delay_min = 20ms, .delay_max = 20ms, .distant = true});
    for (unsigned i = 0; i < kFirstPause; ++i) {
        busy.write(kLarge);
        busy.kernel().advance(100ms);
    }
    CHECK(busy.sends() == kFirstPause);
}

TEST_CASE("zero-copy sends gather small writes that wait, as copying ones do") {
    for (const ZeroCopy zero_copy : {ZeroCopy::on, ZeroCopy::automatic}) {
        Scene scene(kDistant, zero_copy);
        std::vector<std::unique_ptr<Operation>> writes;
        for (unsigned i = 0; i < 5; ++i)
            writes.push_back(scene.start(100));
        for (const auto& write : writes)
            REQUIRE(!write->aio.wait());
        CHECK(scene.engine().statistics().gathered_writes == gathered(4, 100));
        CHECK(scene.sends() == 0);
    }
}

TEST_CASE("with zero copy on, writes below 8 KiB are copied, and larger ones are not") {
    Scene scene(kDistant, ZeroCopy::on);
    scene.write(8191, 3);
    CHECK(scene.sends() == 0);
    scene.write(8192, 3);
    CHECK(scene.sends() == 3);
    std::vector<std::unique_ptr<Operation>> writes;
    for (unsigned i = 0; i < 16; ++i)
        writes.push_back(scene.start(4096));
    for (const auto& write : writes)
        REQUIRE(!write->aio.wait());
    CHECK(scene.engine().statistics().gathered_writes == gathered(15, 4096));
    CHECK(scene.sends() == 3);
}

TEST_CASE("writes are copied while an engine has lent half of the memory that it may lock") {
    for (const ZeroCopy zero_copy : {ZeroCopy::on, ZeroCopy::automatic}) {
        Scene scene({.distant = true, .lockable_bytes = 6 * kLarge - 1}, zero_copy);
        scene.write(kLarge);
        scene.peer().read_nothing();
        const auto lent = scene.start(kLarge);
        const auto also_lent = scene.start(kLarge);
        const auto copied = scene.start(kLarge);
        run_some(scene.engine());
        CHECK(scene.sends() == 3);
        CHECK_FALSE(lent->done());
        CHECK_FALSE(also_lent->done());
        CHECK(copied->ended() == success(kLarge));
        scene.peer().read_everything();
        REQUIRE(!lent->aio.wait());
        REQUIRE(!also_lent->aio.wait());
        scene.write(kLarge);
        CHECK(scene.sends() == 4);
    }
}

TEST_CASE("automatic pauses when no pages can be locked, and on copies once") {
    Scene automatic({.zero_copy_no_memory = 1000, .distant = true});
    automatic.write(kLarge, kFirstPause);
    CHECK(automatic.sends() == 1);
    Scene on({.zero_copy_no_memory = 1000, .distant = true}, ZeroCopy::on);
    on.write(kLarge, 3);
    CHECK(on.sends() == 3);
    CHECK(on.peer().received().size() == 3 * kLarge);
}

}  // namespace uaio::zero_copy_choice_test
