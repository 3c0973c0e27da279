// Applies a redirect to a request (RFC 9110 section 15.4). No I/O; one thread at a time.
#pragma once

#include <uaio/http_message.h>

#include "transport/http/client/client_origin.h"

#include <string>
#include <system_error>

namespace uaio::http {

class Redirect {
public:
    // Determines whether the response is a redirect that the client may follow: to the origin of
    // the request, or to one that its connections are known to reach. Errc::not_enough_memory.
    [[nodiscard]] std::error_code read(const Request& request, const Response& response,
                                       const ClientOrigin& client) noexcept;
    bool followed() const noexcept { return !url_.empty(); }

    // Changes the request into that of the redirect. After Errc::not_enough_memory the request may
    // be partly changed. REQUIRES: followed().
    [[nodiscard]] std::error_code apply(Request& request) const noexcept;

private:
    std::string url_;  // the destination; empty if not followed
    int status_ = 0;
    bool same_origin_ = false;
};

}  // namespace uaio::http
