#include "engine/kernel_selection.h"

#include <uaio/argument_error.h>

#include "base/quoted.h"
#include "engine/kernel/linux/linux_kernel.h"
#include "engine/kernel/poll/poll_kernel.h"

#include <cstdlib>
#include <string_view>
#include <system_error>

namespace uaio {
namespace {

KernelKind wanted_kernel(KernelKind asked) {
    const char* variable = std::getenv("UAIO_KERNEL");
    if (asked != KernelKind::automatic || !variable || *variable == '\0') return asked;
    const std::string_view name = variable;
    if (name == "io_uring") return KernelKind::io_uring;
    if (name == "epoll") return KernelKind::epoll;
    throw std::system_error(
        make_error_code(ArgumentErrc::invalid_option),
        "uaio: UAIO_KERNEL is " + in_quotes(name) + "; it must be io_uring or epoll");
}

}  // namespace

std::unique_ptr<Kernel> select_kernel(const EngineOptions& options) {
    switch (wanted_kernel(options.kernel)) {
        case KernelKind::io_uring: return std::make_unique<LinuxKernel>(options);
        case KernelKind::epoll: return std::make_unique<PollKernel>(options, "it was requested");
        case KernelKind::automatic: break;
    }
    try {
        return std::make_unique<LinuxKernel>(options);
    } catch (const std::system_error& refused) {
        return std::make_unique<PollKernel>(options, refused.what());
    }
}

}  // namespace uaio
