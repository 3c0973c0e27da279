// How the simulated kernel ends a test that it cannot go on with. For the kernel's thread.
#pragma once

#include <string>

namespace uaio {

// Prints `what`, with the seed and state of the kernel that is running, and aborts.
[[noreturn]] void sim_failed(const std::string& what) noexcept;

}  // namespace uaio
