// The small types that servers, clients, connections and messages of HTTP/1.1 share. Values; any
// thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace uaio::http {

// The version of a message. A received minor version above 1 counts as 1.1 (RFC 9110 2.5); another
// major version is HttpErrc::unsupported_version.
enum class Version { http_1_0, http_1_1 };

// One header field: its name in the case it was given or received, and its value without white
// space at its ends. The views are valid until the Headers object that they came from changes.
struct Field {
    std::string_view name;
    std::string_view value;
};

// Upper bounds for a message that is received. Sizes are bytes as they come over the wire, line
// ends included. A message beyond one is refused as soon as that is certain, without waiting for
// the end of the line: a read ends with the HttpErrc named here, a server answers with the status
// beside it. Limits of content and of time are in the options of server, client and connection.
struct Limits {
    std::size_t start_line = 8192;  // request or status line: start_line_too_long, 414
    std::size_t field = 8192;       // one header or trailer line, folded ones whole:
                                    // field_too_long, 431
    // Start line, all fields and the empty line: head_too_long, 431. A connection buffers a head
    // that comes in pieces, in memory that doubles from 1 KiB on. Below 4 GiB.
    std::size_t head = 32768;
    // Lines of fields in a head, and again in a trailer: too_many_fields, 431. More than 65536
    // counts as 65536.
    std::size_t fields = 100;
    std::size_t trailer = 8192;  // all trailer fields: head_too_long, 431. Below 4 GiB.
    // The extensions of one chunk, from ";" to the line end, and those of all chunks of a message
    // (RFC 9112 7.1.1): chunk_extension_too_long, 400.
    std::size_t chunk_extension = 256;
    std::size_t chunk_extensions = 4096;
};

}  // namespace uaio::http
