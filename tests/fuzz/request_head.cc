// A request, head and content: every cut and every scanner give the same outcome, and http-parser
// accepts all accepted input.
#include "tests/fuzz/support/invariants.h"
#include "tests/fuzz/support/oracle.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace uaio;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const SeenMessage seen = fuzz::read_cut_and_whole(bytes, {});
    if (!seen.accepted() || !seen.trailer.empty()) return 0;
    if (const char* refusal = fuzz::refusal_of_request(bytes.substr(0, seen.consumed)))
        fuzz::stop("http-parser refuses a message that uaio accepts", refusal);
    return 0;
}
