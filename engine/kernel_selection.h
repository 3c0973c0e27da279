// Selects the kernel that carries out the operations of an engine. Any thread.
#pragma once

#include <uaio/engine_options.h>

#include "engine/kernel/kernel.h"

#include <memory>

namespace uaio {

// The kernel that `options` and the environment variable UAIO_KERNEL select; see KernelKind. Throws
// std::system_error as the constructor of Engine documents.
std::unique_ptr<Kernel> select_kernel(const EngineOptions& options);

}  // namespace uaio
