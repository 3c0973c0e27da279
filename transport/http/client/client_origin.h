// The origin of the connections of an http::Client (RFC 6454 section 4), and the check that a
// request may be sent there. Engine's thread.
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
    // The connector must outlive this object.
    explicit ClientOrigin(const Connector& connector) noexcept : known_(connector.origin()) {}

    bool secure() const noexcept { return known_.secure; }

    // Returns no error if the request may be sent over these connections. The first request with a
    // URL fixes a host or port that the connector does not specify.
    [[nodiscard]] std::error_code admit(const Request& request) noexcept;
    // True if connections are known to reach this URL's origin.
    bool reaches(const Url& url) const noexcept { return !host().empty() && !check(url); }

private:
    std::string_view host() const noexcept { return known_.host.empty() ? host_ : known_.host; }
    [[nodiscard]] std::error_code check(const Url& url) const noexcept;

    const Origin known_;
    std::string host_;  // from the first URL
    std::uint16_t port_ = 0;
};

}  // namespace uaio::http
