#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace uaio {

void check_failed(const char* file, int line, const char* what) noexcept {
    std::fprintf(stderr, "uaio: %s (%s:%d)\n", what, file, line);
    std::abort();
}

}  // namespace uaio
