// The small types that everything about HTTP/1.1 shares. Values; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace uaio::http {

// A later minor version than 1.1 counts as 1.1, as RFC 9110 section 2.5 has it.
enum class Version { http_1_0, http_1_1 };

// One header field. The views are those of whatever it came from.
struct Field {
    std::string_view name;
    std::string_view value;
};

// What a message that is received may cost before it is refused: a server answers with 414 for the
// start line, 431 for the rest of a head or a trailer, 400 for chunk extensions. Sizes are bytes as
// they come over the wire, line ends included. What holds for the content, and for time, is in the
// options of server and client.
struct Limits {
    std::size_t start_line = 8192;        // the request line, or the status line
    std::size_t field = 8192;             // one header or trailer line
    std::size_t head = 32768;             // start line, all fields and the empty line; below 4 GiB
    std::size_t fields = 100;             // lines of fields in a head, and again in a trailer
    std::size_t trailer = 8192;           // all of a chunked message's trailer fields; below 4 GiB
    std::size_t chunk_extension = 256;    // of one chunk, from its ";" to the line end
    std::size_t chunk_extensions = 4096;  // of all chunks of a message
};

}  // namespace uaio::http
