// Maps parser and client errors to status codes. Any thread.
#pragma once

#include <uaio/http_error.h>

namespace uaio::http {

// The status code of the response (RFC 9110 15): 400, 414, 431, 501 or 505 to a request with this
// fault; 500 or 502 from a gateway that encountered it as a client.
int status_of(HttpErrc fault) noexcept;

}  // namespace uaio::http
