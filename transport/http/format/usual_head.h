// Parsers for complete heads in the form that nearly all have: one pass that validates, finds the
// fields and evaluates those that matter, without the states of RequestParser and ResponseParser.
// They accept nothing that those reject, with the same result, and report no error: those parsers
// read every other head. Pure functions of their arguments; any thread.
#pragma once

#include <uaio/http_types.h>

#include "transport/http/format/head_parser.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace uaio::http {

// Returns the size of the head at the front of `given`, and fills `head` as RequestParser does, its
// fields in `room`. Returns 0, with `head` unspecified, for a head that is incomplete, invalid,
// beyond a limit, or unusual: not of HTTP/1.1, a target that is no path, no space or more than one
// behind a colon, white space behind a value, a name that occurs twice.
std::size_t parse_usual(std::string_view given, std::span<FieldSlice> room, const Limits& limits,
                        const Scanner& scanner, RequestHead& head) noexcept;
// The same for the final response to a request with that method, in either strictness.
std::size_t parse_usual(std::string_view given, std::span<FieldSlice> room, const Limits& limits,
                        const Scanner& scanner, std::string_view method,
                        ResponseHead& head) noexcept;

}  // namespace uaio::http
