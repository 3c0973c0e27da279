// Sends an open file as a response: a small one whole, a large one in pieces that are read from the
// file during the transfer. Engine's thread only.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/server/file_access.h"
#include "transport/http/server/file_content.h"

#include <cstddef>
#include <string_view>
#include <system_error>

struct stat;

namespace uaio::http {

// A file up to this size is read on the engine's thread, and sent with its head in one write.
inline constexpr std::size_t kSmallFile = 64 * 1024;

// The status for a file that cannot be opened, by the errno of open(2) or openat2(2).
int status_of_errno(int error) noexcept;

FileState state_of(const struct stat& state) noexcept;

// Converts the result of a response's setter: throws std::bad_alloc if out of memory, and
// std::system_error if the field conflicts with those already set.
void throw_if(std::error_code error);

// Chooses the part of a file to send. False if the response has no content; the exchange has then
// ended. Throws as throw_if() does.
bool choose(Exchange& exchange, const FileState& state, std::string_view type, FilePart& part);

// Makes these bytes of a file the content. False if the file has fewer, or cannot be read. Throws
// as throw_if() does.
bool read_content(int fd, std::uint64_t offset, std::size_t size, Response& response);

// Answers with the requested part of `file`, a regular file in this state, and ends the exchange,
// perhaps later. `type` must outlive that. If the file has become shorter, sends it in its present
// state, or 500 if it has fewer bytes than fstat(2) reports. If it becomes shorter, or fails,
// during the transfer, the exchange fails with Errc::truncated or the error, and the engine's log
// hook is called. Throws as throw_if() does, before the exchange has ended.
void send_file(Exchange& exchange, OwnedFd file, const FileState& state, std::string_view type);

}  // namespace uaio::http
