// Scanners that use the vector instructions of x86-64. Each is null where the processor, or the
// architecture, does not have them. Any thread.
#pragma once

#include "transport/http/format/syntax.h"

namespace uaio::http {

const Scanner* sse42_scanner() noexcept;
const Scanner* avx2_scanner() noexcept;

}  // namespace uaio::http
