// Operations that end early on a simulated kernel that loses cancels.
#include <uaio/engine.h>
#include <uaio/sim.h>
#include <uaio/tcp.h>

#include "tests/support/connection_fixture.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <doctest/doctest.h>

namespace uaio::cancel_test {

using namespace std::chrono_literals;

// A write that waits for a peer that reads nothing, on a kernel that loses most cancels.
struct Waiting {
    static constexpr std::size_t kWindow = 1000;

    explicit Waiting(std::uint64_t seed)
        : kernel(seed, {.lost_cancel = 700, .window = kWindow}),
          engine(kernel),
          write(engine, payload) {
        SimListener& server = kernel.listen_peer();
        server.read_nothing();
        Operation connect(engine);
        tcp::connect(Endpoint::loopback(server.port()), {}, connect.aio, stream);
        REQUIRE(!connect.aio.wait());
    }

    // The time of the last of these repetitions, after the first request.
    static Clock::duration time_of_repetition(std::uint64_t number) {
        Clock::duration time = 0ms;
        for (std::uint64_t i = 0; i < number; ++i)
            time += std::chrono::milliseconds(1 << std::min<std::uint64_t>(i, 7));
        return time;
    }

    const std::string payload = std::string(5 * kWindow, 'x');
    SimKernel kernel;
    Engine engine;
    StreamPtr stream;
    Operation write;
};

TEST_CASE("a cancel that the kernel does not find is repeated until the write has ended") {
    std::uint64_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Waiting waiting(seed);
        waiting.stream->write_all(waiting.write.aio);
        waiting.engine.run_once(0ns);
        const Clock::time_point begin = waiting.engine.now();
        waiting.write.aio.cancel();
        REQUIRE(waiting.write.aio.wait_until(begin + 10s));
        CHECK(waiting.write.ended() == failure(Errc::canceled, Waiting::kWindow));
        const std::uint64_t repetitions = waiting.kernel.counters().lost_cancels;
        const Clock::duration expected = Waiting::time_of_repetition(repetitions);
        CHECK(waiting.engine.now() - begin >= expected);
        CHECK(waiting.engine.now() - begin < expected + 1ms);
        lost += repetitions;
    }
    CHECK(lost > 20);
}

TEST_CASE("a deadline whose cancel the kernel does not find ends the write all the same") {
    std::uint64_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Waiting waiting(seed);
        const Clock::time_point begin = waiting.engine.now();
        waiting.write.aio.set_timeout(1h);
        waiting.stream->write_all(waiting.write.aio);
        REQUIRE(waiting.write.aio.wait_until(begin + 1h + 10s));
        CHECK(waiting.write.ended() == failure(Errc::timed_out, Waiting::kWindow));
        lost += waiting.kernel.counters().lost_cancels;
    }
    CHECK(lost > 20);
}

}  // namespace uaio::cancel_test
