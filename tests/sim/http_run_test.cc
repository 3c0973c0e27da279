#include "tests/sim/http_run.h"

#include "tests/support/kernels.h"

#include <doctest/doctest.h>

namespace uaio::http_run_test {

TEST_CASE("whatever the network does, every transaction ends once with its own response") {
    const std::uint64_t seeds = kSanitized ? 100 : 1000;
    std::size_t successes = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        HttpRun run(seed);
        const std::string wrong = run.run();
        successes += run.successes();
        INFO("seed ", seed);
        REQUIRE_MESSAGE(wrong.empty(), wrong);
    }
    CHECK(successes > 3 * seeds);  // or the sessions are too short to test anything
}

}  // namespace uaio::http_run_test
