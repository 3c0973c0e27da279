// The text of an exception. Any thread.
#pragma once

#include <string>
#include <system_error>

namespace uaio {

// `what` followed by the remedy for `error`, for the constructor of std::system_error, which itself
// appends the cause, error.message().
std::string with_advice(std::string what, std::error_code error);

}  // namespace uaio
