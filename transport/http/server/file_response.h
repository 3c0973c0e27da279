// The response that an open file is sent as: a small one whole, a large one in pieces that are read
// from the file while it is sent. Engine's thread only.
#pragma once

#include <uaio/http_server.h>

#include "transport/http/server/file_access.h"
#include "transport/http/server/file_content.h"

#include <cstddef>
#include <string_view>
#include <system_error>

struct stat;

namespace uaio::http {

// A file up to this size is read on the engine's thread and leaves with its head in one write.
inline constexpr std::size_t kSmallFile = 64 * 1024;

// The status for a file that cannot be opened, by the errno of open(2) or openat2(2).
int status_of_errno(int error) noexcept;

FileState state_of(const struct stat& state) noexcept;

// What a setter of a response returned: throws std::bad_alloc for want of memory, and else, where
// the fields that the response has already do not go with it, std::system_error.
void throw_if(std::error_code error);

// Decides what of a file is sent. False if that is no content; the exchange has ended then. Throws
// what throw_if() does.
bool choose(Exchange& exchange, const FileState& state, std::string_view type, FilePart& part);

// Makes these bytes of a file the content. False if the file has fewer, or cannot be read. Throws
// what throw_if() does.
bool read_content(int fd, std::uint64_t offset, std::size_t size, Response& response);

// Answers with what the request asks for of `file`, a regular file in this state, and ends the
// exchange, perhaps later. `type` must outlive that. A file that became shorter since is answered
// as it is now, or with 500 if it has fewer bytes than fstat(2) reports. If it becomes shorter, or
// fails, while its content is being sent, the exchange fails with Errc::truncated or the error, and
// the engine's log hook is called. Throws what throw_if() does, before the exchange has ended.
void send_file(Exchange& exchange, OwnedFd file, const FileState& state, std::string_view type);

}  // namespace uaio::http
