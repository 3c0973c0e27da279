// Handlers that need no code: fixed content, files, directories, redirects. Make them on any thread
// before the server listens; a Handler is a value that several routes and servers may copy. file()
// and directory() answer GET and HEAD, and 405 with Allow to other methods; fixed_content() and
// redirect() answer every method that their route takes.
#pragma once

#include <uaio/http_server.h>

#include <string>
#include <string_view>

namespace uaio::http {

// Answers each request with 200, these bytes and `type` as Content-Type. The bytes are copied once
// and sent from there. Throws std::invalid_argument for a type that no header may hold, and
// std::bad_alloc.
Handler fixed_content(std::string content, const std::string& type);

// Redirects to `location` (RFC 9110 10.2.2), a URL or a path, with 301, 302, 303, 307 or 308 and a
// small HTML page (Response::set_error_page()). On a route that is a tree, the part of
// the request's path behind that of the route is appended, encoded as in the request; the query of
// the request is appended on any route, behind one that `location` has, and before its fragment
// (nng_http_handler_alloc(3http)). With "/new" for the tree "/old", "/old/a%2Fb?x=1" leads to
// "/new/a%2Fb?x=1". No request leads to another host than `location` does. Throws
// std::invalid_argument for another status, for an empty location and for one that no header may
// hold.
Handler redirect(std::string location, int status = 308);

// Serves one file, opened anew for each request, with conditional requests and one range of bytes
// (RFC 9110 13, 14), ETag and Last-Modified; an empty type stands for media_type(path). Errors are
// responses: 404 for a file that does not exist or is not a regular file, 403 for one that may not
// be read, 503 without descriptors or memory, 500 for others. A file that becomes shorter while it
// is sent ends the response early and closes the connection. open(2), fstat(2) and the read of a
// part of up to 64 KiB run on the engine's thread, which waits for the disk unless the kernel has
// the bytes in memory; a larger part is read through the ring, 128 KiB at a time, while the piece
// before is sent. A relative path is one from the working directory at this call; throws
// std::system_error if that is gone, and std::invalid_argument for a path with a NUL and a type
// that no header may hold.
Handler file(const std::string& path, std::string type = {});

struct DirectoryOptions {
    // The file of a directory that is sent for a path with a slash at its end; empty: 404. There
    // are no listings.
    std::string index = "index.html";
    // A file of up to 64 KiB that was sent is kept in memory and sent again without a system call
    // for that long, whatever has become of the file; 0 or less: each request opens it.
    std::chrono::nanoseconds keep = std::chrono::seconds(1);
    // Bytes of such files, on each engine; a file beyond it replaces all others.
    std::size_t keep_bytes = 16 << 20;
};

// Serves the files below `root`, found by Exchange::path_suffix(), so its route must be a prefix().
// Each file is answered as by file(), with the type of its name's ending. No request leaves the
// root: neither dots nor encodings nor symbolic links lead out of it (openat2(2), RESOLVE_BENEATH);
// links that stay inside are followed, but none where openat2(2) is unavailable: before Linux 5.6,
// or under seccomp. Names with an encoded slash are 404. A directory without a slash at its end is
// redirected to where it has one, with the query. `root` is resolved anew for each file that is
// opened, from the working directory at this call if it is relative: when it is removed and made
// again, or a symbolic link in it is replaced, the new directory is served, after `keep` at the
// latest. Throws std::system_error if `root` is no directory that can be opened now, and
// std::invalid_argument for a NUL in it or in the name of the index.
Handler directory(const std::string& root, DirectoryOptions options = {});

// The media type for a file of this name by its last ending, in any case, from a built-in list of
// the usual ones, text as UTF-8; "application/octet-stream" for any other. Lives as long as the
// program. Any thread.
std::string_view media_type(std::string_view name) noexcept;

}  // namespace uaio::http
