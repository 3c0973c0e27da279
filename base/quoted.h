// Quotes options, names of files and URLs of a user in messages. A text in the wrong option may be
// a key or a password, and messages go to logs, so a text with the shape of a secret is described
// and not quoted. Allocates. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace uaio {

// `text` in quotation marks; or, if it has control characters, is longer than 255 bytes, or looks
// like a key (the words of PEM, or 24 or more characters of hexadecimal or base64 alone), only its
// number of bytes.
std::string in_quotes(std::string_view text);

// The same without user information (RFC 3986 3.2.1), query and fragment, also where the text is no
// well-formed URL.
std::string quoted_url(std::string_view url);

}  // namespace uaio
