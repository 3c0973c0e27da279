// What HttpErrc means to a peer. Any thread.
#pragma once

#include <uaio/error.h>

namespace uaio::http {

// The status of the response to a request with this fault: 400, 414, 431, 501 or 505.
int status_of(HttpErrc fault) noexcept;

}  // namespace uaio::http
