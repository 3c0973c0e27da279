// Heads as Debian's http-parser reads them, with the same left over as ours leaves: method, target
// and the place of every field. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace uaio::bench {

class HttpParserHeads {
public:
    // Throws Unavailable in a build without libhttp-parser-dev.
    HttpParserHeads();
    ~HttpParserHeads();

    // Reads one whole request without content; the number of its fields. Throws std::runtime_error
    // with http-parser's name for what is wrong.
    std::size_t read(std::string_view request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace uaio::bench
