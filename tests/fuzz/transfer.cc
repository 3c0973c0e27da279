// A fuzzer chooses a session of a stream: its operations, cancels, deadlines and closes, and the
// results of the simulated kernel and network. The oracle of tests/sim/transfer_run.h checks it.
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
