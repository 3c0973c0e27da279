#include "tests/support/kernels.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace uaio {
namespace {

bool linux_is_refused() {
    static const bool refused = [] {
        const char* const wanted = std::getenv("UAIO_KERNEL");
        if (wanted && std::strcmp(wanted, "epoll") == 0) return true;
        try {
            EngineOptions options;
            options.kernel = KernelKind::io_uring;
            const Engine engine(options);
            return false;
        } catch (const std::system_error&) {
            return true;
        }
    }();
    return refused;
}

}  // namespace

EngineOptions options_on(KernelKind kind, EngineOptions options) {
    REQUIRE(kind != OnSim::kKind);  // a SimKernel is passed to the engine itself
    options.kernel = kind;
    if (kind == KernelKind::io_uring && linux_is_refused()) {
        report_skip("the kernel refuses io_uring, or UAIO_KERNEL does");
        options.kernel = KernelKind::epoll;
    }
    return options;
}

void report_skip(const char* why) {
    std::printf("SKIP %s: %s\n", doctest::getContextOptions()->currentTest->m_name, why);
    std::fflush(stdout);
}

}  // namespace uaio
