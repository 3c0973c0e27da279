#include "tests/sim/transfer_run.h"

#include "tests/support/kernels.h"

#include <doctest/doctest.h>

namespace uaio::transfer_run_test {

TEST_CASE("whatever the network does, every operation ends once and counts what the peer saw") {
    const std::uint64_t seeds = kSanitized ? 300 : 3000;
    std::size_t successes = 0;
    std::size_t cancels = 0;
    std::size_t timeouts = 0;
    std::size_t resets = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        TransferRun run(seed);
        const std::string wrong = run.run();
        INFO("seed ", seed);
        REQUIRE_MESSAGE(wrong.empty(), wrong);
        successes += run.ended_with({});
        cancels += run.ended_with(Errc::canceled);
        timeouts += run.ended_with(Errc::timed_out);
        resets += run.ended_with(Errc::connection_reset);
    }
    // Or the runs are too short to test anything.
    CHECK(successes > seeds);
    CHECK(cancels > seeds / 20);
    CHECK(timeouts > seeds / 20);
    CHECK(resets > seeds / 100);
}

}  // namespace uaio::transfer_run_test
