// The status codes of faults. Any thread.
#pragma once

#include <uaio/http_error.h>

namespace uaio::http {

// The status of the response (RFC 9110 15): to a request with this fault 400, 414, 431, 501 or 505;
// from a gateway that met it as a client, 500 or 502.
int status_of(HttpErrc fault) noexcept;

}  // namespace uaio::http
