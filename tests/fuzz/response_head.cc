// A response, head and content, to several methods: every cut and every scanner give the same
// outcome; http-parser accepts every accepted head; and a lenient parser reads the same from input
// that the strict one accepts.
#include "tests/fuzz/support/invariants.h"
#include "tests/fuzz/support/oracle.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace uaio;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const std::string_view method : {"GET", "HEAD", "CONNECT"}) {
        const SeenMessage seen =
            fuzz::read_cut_and_whole(bytes, {.response = true, .answer_to = method});
        const SeenMessage lenient = fuzz::read_cut_and_whole(
            bytes,
            {.response = true, .answer_to = method, .strictness = http::Strictness::lenient});
        if (seen.accepted() && lenient != seen)
            fuzz::stop("a lenient parser returns another result");
        // Without its content: http-parser does not know the method of the request, and reads
        // content after 204, unlike uaio.
        if (!seen.accepted() || method != "HEAD") continue;
        if (const char* refusal = fuzz::refusal_of_response_head(bytes.substr(0, seen.consumed)))
            fuzz::stop("http-parser refuses a message that uaio accepts", refusal);
    }
    return 0;
}
