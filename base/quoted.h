// How messages quote what a user gave: options, names of files, URLs. A text that came to the wrong
// option may be a key or a password, and messages go to logs, so what has the shape of a secret is
// described and not quoted. Allocates. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio {

// In quotation marks; or, if it has control characters, is longer than 255 bytes, or looks like a
// key (the words of PEM, or 24 or more characters of hexadecimal or base64 alone), only how many
// bytes there are.
std::string in_quotes(std::string_view text);

// The same without user information (RFC 3986 3.2.1), query and fragment, also where the text is no
// well-formed URL.
std::string quoted_url(std::string_view url);

}  // namespace uaio
