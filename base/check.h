// ALWAYS_CHECK stops the program when a condition that protects memory or data does not hold, in
// every build; DCHECK does so for the library's own invariants, in builds without NDEBUG. Both
// print the place and the condition. Any thread.
#pragma once

namespace uaio {

[[noreturn]] void check_failed(const char* file, int line, const char* what) noexcept;

}  // namespace uaio

#define ALWAYS_CHECK(condition, what) \
    (static_cast<bool>(condition) ? void() : ::uaio::check_failed(__FILE__, __LINE__, what))

#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(sizeof(condition))
#else
#define DCHECK(condition) ALWAYS_CHECK(condition, #condition)
#endif
