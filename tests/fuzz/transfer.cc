// A fuzzer writes the life of a stream: its operations, cancels, deadlines and closes, and what the
// simulated kernel and the network do. The oracle of tests/sim/transfer_run.h judges it.
#include "tests/sim/transfer_run.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    uaio::TransferRun run({data, size});
    const std::string wrong = run.run();
    if (!wrong.empty()) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        std::abort();
    }
    return 0;
}
