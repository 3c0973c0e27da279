// Parses heads with Debian's http-parser into the same result as our parser: the method, the target
// and the position of every field. One thread.
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

    // Parses one whole request without content; returns the number of its fields. Throws
    // std::runtime_error with http-parser's name of the error.
    std::size_t read(std::string_view request);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace uaio::bench
