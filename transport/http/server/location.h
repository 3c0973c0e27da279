// Builds the value of Location for a redirect (RFC 9110 10.2.2): always a path of this server, or
// the location that the program set, whatever the request's target contains. Pure functions; any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio::http {

// Percent-encodes a decoded path: all characters that RFC 3986 3.3 excludes from a path, including
// "?", "#" and "%". Throws std::bad_alloc.
std::string encode_path(std::string_view path);

// Returns the last segments of a target's path in the encoding of the target: as many as `rest`,
// the end of its normal form (normalise_path()), has slashes. Omits empty and dot segments, so that
// the result is empty or begins with exactly one slash. Throws std::bad_alloc.
std::string encoded_rest(std::string_view raw_path, std::string_view rest);

// Appends to `location` the path `rest`, which is empty or begins with a slash, and the query,
// after its own query and before its fragment. "/a/?b#c", "/d" and "e" give "/a/d?b&e#c". Throws
// std::bad_alloc.
std::string join_location(std::string_view location, std::string_view rest, std::string_view query);

}  // namespace uaio::http
