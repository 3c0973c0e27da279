// The origin that the connections of an http::Client have (RFC 6454 section 4), and whether a
// request may go there. Engine's thread.
#pragma once

#include <uaio/stream.h>

#include "transport/http/format/target.h"

#include <cstdint>
#include <string>
#include <system_error>

namespace uaio::http {

class Request;

class ClientOrigin {
public:
    // The connector must outlive it.
    explicit ClientOrigin(const Connector& connector) noexcept : known_(connector.origin()) {}

    bool secure() const noexcept { return known_.secure; }

    // Whether the request may be sent over these connections: the error, or none. What the
    // connector does not know of its host and port, the first request for a URL decides.
    std::error_code admit(const Request& request) noexcept;
    // True if it is known that connections reach this URL's origin.
    bool reaches(const Url& url) const noexcept { return !host().empty() && !check(url); }

private:
    std::string_view host() const noexcept { return known_.host.empty() ? host_ : known_.host; }
    std::error_code check(const Url& url) const noexcept;

    const Origin known_;
    std::string host_;  // decided by the first URL
    std::uint16_t port_ = 0;
};

}  // namespace uaio::http
