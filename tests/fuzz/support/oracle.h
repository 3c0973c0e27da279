// What another parser, Debian's http-parser, says to a message that ours accepts. It is lenient in
// many places, so only one direction is compared: we never accept what it refuses. One thread.
#pragma once

#include <string_view>

namespace uaio::fuzz {

// False if the oracle is not in this build.
bool have_oracle() noexcept;

// Why the oracle refuses a message that is whole, or null if it does not, or is known to be
// stricter there than the RFC. `answer` says which kind of message it is.
const char* refusal_of_request(std::string_view message) noexcept;
const char* refusal_of_response_head(std::string_view head) noexcept;

}  // namespace uaio::fuzz
