#include "tests/fuzz/support/invariants.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace uaio::fuzz {
namespace {

// Reading byte by byte copies all earlier bytes each time; for long messages a sample of the cuts
// is enough.
constexpr std::size_t kByteByByte = 200;

std::vector<std::size_t> cuts_of(std::string_view bytes, std::minstd_rand& random) {
    std::vector<std::size_t> cuts;
    if (random() % 16 == 0) {
        const std::size_t step = 1 + bytes.size() / kByteByByte;
        for (std::size_t at = 0; at < bytes.size(); at += step)
            cuts.push_back(at);
        return cuts;
    }
    std::set<std::size_t> places;
    for (std::size_t count = 1 + random() % 3; count > 0; --count)
        places.insert(random() % (bytes.size() + 1));
    return {places.begin(), places.end()};
}

}  // namespace

void stop(std::string_view what, std::string_view detail) {
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
                 static_cast<int>(detail.size()), detail.data());
    std::abort();
}

SeenMessage read_cut_and_whole(std::string_view bytes, const Reading& how) {
    const SeenMessage whole = read_message(bytes, how);
    std::minstd_rand random(static_cast<std::uint32_t>(std::hash<std::string_view>()(bytes)) | 1U);
    Reading other = how;
    const auto scanners = http::usable_scanners();
    other.scanner = scanners[random() % scanners.size()];
    other.usual = random() % 2 == 0;
    const auto cuts = cuts_of(bytes, random);
    if (read_message(bytes, other, cuts) != whole)
        stop("splitting the input, another scanner or the parser of usual heads changes the result",
             other.scanner->name);
    return whole;
}

}  // namespace uaio::fuzz
