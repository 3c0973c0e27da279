// What a redirect puts into Location (RFC 9110 10.2.2): always a path of this server or what the
// program asked for, whatever the request's target holds. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio::http {

// Percent-encodes what RFC 3986 3.3 has no path hold, "?", "#" and "%" included, of a decoded path.
// Throws std::bad_alloc.
std::string encode_path(std::string_view path);

// The last segments of a target's path, with the encoding of the target: as many as `rest`, the end
// of its normal form (normalise_path()), has slashes. Without empty and dot segments, so that it is
// empty or begins with exactly one slash. Throws std::bad_alloc.
std::string encoded_rest(std::string_view raw_path, std::string_view rest);

// `location` with the path `rest`, which is empty or begins with a slash, and a query behind its
// own; before its fragment. "/a/?b#c", "/d" and "e" are "/a/d?b&e#c". Throws std::bad_alloc.
std::string join_location(std::string_view location, std::string_view rest, std::string_view query);

}  // namespace uaio::http
