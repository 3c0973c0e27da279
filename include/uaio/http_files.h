// Handlers that need no code: fixed content, files, directories, redirects. Make them before the
// server listens; each may be used by several routes. They answer GET and HEAD.
#pragma once

#include <uaio/http_server.h>

#include <string>
#include <string_view>

namespace uaio::http {

// The same bytes for everybody. Throws std::invalid_argument for a type that no header may hold.
Handler fixed_content(std::string content, const std::string& type);

// A redirect to `location`, with 301, 302, 303, 307 or 308. On a route that is a tree, the part of
// the request's path behind that of the route is appended, encoded as in the request; the query of
// the request is appended on any route, behind one that `location` has, and before its fragment
// (nng_http_handler_alloc(3http)). With "/new" for the tree "/old", "/old/a%2Fb?x=1" leads to
// "/new/a%2Fb?x=1". No request leads to another host than `location` does. Throws
// std::invalid_argument for another status and for a location that no header may hold.
Handler redirect(std::string location, int status = 308);

// One file, opened anew for each request; without a type, that of its name's ending. A relative
// path is one from the working directory at this call; throws std::system_error if that is gone,
// and std::invalid_argument for a path with a NUL and a type that no header may hold.
Handler file(const std::string& path, std::string type = {});

struct DirectoryOptions {
    std::string index = "index.html";  // what a directory is answered with; empty: 404
    // A file of up to 64 KiB that was sent is kept in memory and sent again without a look at it
    // for that long; 0: each request looks.
    std::chrono::nanoseconds keep = std::chrono::seconds(1);
    std::size_t keep_bytes = 16 << 20;  // of such files, on each engine
};

// The files below `root`, found by Exchange::rest(): ranges of bytes and conditional requests (RFC
// 9110 13, 14), types by the ending of a name. No request leaves the root: neither dots nor
// encodings nor symbolic links lead out of it (openat2(2), RESOLVE_BENEATH). A directory without a
// slash at its end is redirected to where it has one, with the query. `root` is resolved anew for
// each file that is opened, from the working directory at this call if it is relative: when it is
// removed and made again, or a symbolic link in it is replaced, the new directory is served, after
// `keep` at the latest. Throws std::system_error if `root` is no directory that can be opened now,
// and std::invalid_argument for a NUL in it or in the name of the index.
Handler directory(const std::string& root, DirectoryOptions options = {});

// The media type for a file of this name, "application/octet-stream" for an unknown ending.
std::string_view media_type(std::string_view name) noexcept;

}  // namespace uaio::http
