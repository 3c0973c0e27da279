// An error category with sentences for people, which strerror() hands on. Categories of the layers
// above derive from it, so that strerror() need not know them. Any thread.
#pragma once

#include <system_error>

namespace uaio {

class ErrorWithAdvice : public std::error_category {
public:
    // What happened, the likely cause and what to do, or null for a code that is none of this
    // category. Lives as long as the program.
    virtual const char* sentence(int code) const noexcept = 0;
};

}  // namespace uaio
