// Ends a test in which the simulated kernel cannot go on. For the kernel's thread.
#pragma once

#include <string>

namespace uaio {

// Prints `what`, with the seed and state of the running kernel, and aborts.
[[noreturn]] void sim_failed(const std::string& what) noexcept;

}  // namespace uaio
