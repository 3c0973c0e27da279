#include "transport/http/client/client_origin.h"

#include <uaio/error.h>
#include <uaio/http_error.h>
#include <uaio/http_message.h>

#include "transport/http/format/syntax.h"

#include <new>

namespace uaio::http {

std::error_code ClientOrigin::check(const Url& url) const noexcept {
    if (url.secure && !known_.secure) return HttpErrc::insecure_connector;
    if (url.secure != known_.secure) return HttpErrc::wrong_origin;
    const std::uint16_t port = known_.port == 0 ? port_ : known_.port;
    if (port != 0 && port != url.port) return HttpErrc::wrong_origin;
    if (!host().empty() && !same_name(host(), url.host)) return HttpErrc::wrong_origin;
    return {};
}

std::error_code ClientOrigin::admit(const Request& request) noexcept {
    Url url;
    if (request.origin().empty()) {
        // A target that is a whole URL is for a proxy, whose origin is another.
        const bool whole = !request.target().starts_with('/') && !parse_url(request.target(), url);
        if (whole && url.secure && !known_.secure) return HttpErrc::insecure_connector;
        return {};
    }
    if (const auto error = parse_url(request.origin(), url)) return error;
    if (const auto error = check(url)) return error;
    try {
        if (host().empty()) host_ = url.host;
        port_ = url.port;
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace uaio::http
