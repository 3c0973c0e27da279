// Chooses the part of a file that answers a request: conditions and ranges (RFC 9110 13 and 14). No
// I/O. Pure functions; any thread.
#pragma once

#include <uaio/http_message.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace uaio::http {

struct FileState {
    std::uint64_t size = 0;
    std::int64_t modified = 0;      // seconds since 1970
    std::uint32_t modified_ns = 0;  // and nanoseconds
};

struct FilePart {
    int status = 200;  // 200, 206, 304, 412 or 416
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

// Decides the status and the part to send, and sets their fields in `response`: ETag,
// Last-Modified, Accept-Ranges, Content-Range. Errc::not_enough_memory.
[[nodiscard]] std::error_code choose_part(const Request& request, const FileState& file,
                                          Response& response, FilePart& part) noexcept;

}  // namespace uaio::http
