// An error category with sentences for people, which strerror() hands on. Categories of the layers
// above derive from it, so that strerror() need not know them. Any thread.
#pragma once

#include <cstddef>
#include <new>
#include <system_error>

namespace uaio {

class ErrorWithAdvice : public std::error_category {
public:
    // What happened, the likely cause and what to do, or null for a code that is none of this
    // category. Lives as long as the program.
    virtual const char* sentence(int code) const noexcept = 0;
};

// The one object of a category. It is never destroyed: error codes point to it, and threads of
// engines may compare them while exit(3) runs.
template <class Category>
const Category& only_category() noexcept {
    alignas(Category) static std::byte storage[sizeof(Category)];
    static const Category* const only = ::new (static_cast<void*>(storage)) Category;
    return *only;
}

}  // namespace uaio
