// Chunked content: every cut gives the same outcome; decoded content, encoded again, decodes to the
// same; and http-parser accepts all input accepted without a trailer. It treats the fields of a
// trailer as those of a head.
#include "transport/http/format/chunked.h"

#include "tests/fuzz/support/invariants.h"
#include "tests/fuzz/support/oracle.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace uaio {
namespace {

constexpr std::string_view kHead =
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string encoded(std::string_view content) {
    std::string wire(kHead);
    std::array<char, http::kChunkHeadSize> room;
    bool first = true;
    while (!content.empty()) {
        const std::string_view piece = content.substr(0, 7);
        wire.append(http::chunk_head(piece.size(), first, room)).append(piece);
        content.remove_prefix(piece.size());
        first = false;
    }
    return wire.append(first ? http::kOnlyChunk : http::kLastChunk);
}

}  // namespace
}  // namespace uaio

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace uaio;
    const std::string message =
        std::string(kHead).append(reinterpret_cast<const char*>(data), size);
    const SeenMessage seen = fuzz::read_cut_and_whole(message, {});
    if (!seen.accepted()) return 0;
    const SeenMessage again = read_message(encoded(seen.content), {});
    if (!again.accepted() || again.content != seen.content)
        fuzz::stop("the content differs after it is encoded again");
    if (!seen.trailer.empty()) return 0;
    if (const char* refusal =
            fuzz::refusal_of_request(std::string_view(message).substr(0, seen.consumed)))
        fuzz::stop("http-parser refuses a message that uaio accepts", refusal);
    return 0;
}
