// The verdict of Debian's http-parser on a message that uaio accepts. It is lenient in many places,
// so one direction is compared: uaio never accepts what it refuses. One thread.
#pragma once

#include <string_view>

namespace uaio::fuzz {

// False if the oracle is not in this build.
bool have_oracle() noexcept;

// Why the oracle refuses a complete message, or null if it does not, or is known to be stricter
// there than the RFC. `answer` is the kind of message.
const char* refusal_of_request(std::string_view message) noexcept;
const char* refusal_of_response_head(std::string_view head) noexcept;

}  // namespace uaio::fuzz
