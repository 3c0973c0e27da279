#include "tests/sim/transfer_run.h"

#include "tests/support/kernels.h"

#include <doctest/doctest.h>

namespace uaio {
namespace {

TEST_CASE("whatever the network does, every operation ends once and counts what the peer saw") {
    const std::uint64_t seeds = kSanitized ? 300 : 3000;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        TransferRun run(seed);
        const std::string wrong = run.run();
        INFO("seed ", seed);
        REQUIRE_MESSAGE(wrong.empty(), wrong);
    }
}

}  // namespace
}  // namespace uaio
