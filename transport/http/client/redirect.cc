#include "transport/http/client/redirect.h"

#include <uaio/error.h>

#include "base/check.h"
#include "transport/http/client/reference.h"
#include "transport/http/format/syntax.h"
#include "transport/http/format/target.h"

#include <algorithm>
#include <iterator>
#include <new>

namespace uaio::http {
namespace {

// Fields that another origin must not see (RFC 9110 15.4; the list of curl and browsers).
constexpr std::string_view kCredentials[] = {"Authorization",    "Proxy-Authorization",
                                             "Cookie",           "Cookie2",
                                             "WWW-Authenticate", "Proxy-Authenticate"};
// Fields besides Content-* that describe the content, and are dropped with it.
constexpr std::string_view kOfContent[] = {"Transfer-Encoding", "Trailer",      "Expect", "Digest",
                                           "Repr-Digest",       "Last-Modified"};

bool is_redirect(int status) noexcept {
    constexpr int kStatuses[] = {301, 302, 303, 307, 308};
    return std::ranges::find(kStatuses, status) != std::end(kStatuses);
}

bool is_whole(std::string_view target) noexcept {
    return !target.starts_with('/') && target != "*";
}

// The target URI (RFC 9110 7.1); empty without a host. Throws std::bad_alloc.
std::string url_of(const Request& request, bool secure) {
    const std::string_view target = request.target();
    if (is_whole(target)) return std::string(target);
    std::string url(request.origin());
    if (url.empty()) {
        const auto host = request.headers().get("Host");
        if (!host) return {};
        url.append(secure ? "https://" : "http://").append(*host);
    }
    return target == "*" ? url : url.append(target);
}

bool is_http(std::string_view url) noexcept {
    const std::string_view scheme = url.substr(0, url.find(':'));
    return same_name(scheme, "http") || same_name(scheme, "https");
}

bool same_origin(const Url& a, const Url& b) noexcept {
    return a.secure == b.secure && a.port == b.port && same_name(a.host, b.host);
}

void drop_content(Request& request) noexcept {
    constexpr std::string_view kPrefix = "content-";
    request.clear_content();
    Headers& headers = request.headers();
    for (std::size_t index = headers.size(); index-- > 0;) {
        if (index >= headers.size()) continue;  // erase() removes all fields of a name
        const std::string_view name = headers[index].name;
        const bool fits = same_name(name.substr(0, kPrefix.size()), kPrefix);
        if (fits) headers.erase(name);
    }
    for (const std::string_view name : kOfContent)
        headers.erase(name);
}

}  // namespace

std::error_code Redirect::read(const Request& request, const Response& response,
                               const ClientOrigin& client) noexcept {
    status_ = response.status();
    if (!is_redirect(status_) || request.method() == "CONNECT") return {};
    const auto location = response.headers().get("Location");
    if (!location || location->empty()) return {};
    try {
        const std::string base = url_of(request, client.secure());
        if (const auto error = resolve_reference(base, *location, url_)) return error;
        Url from;
        Url to;
        const bool usable = !parse_url(base, from) && !parse_url(url_, to) && is_http(url_);
        same_origin_ = usable && same_origin(from, to);
        if (!usable || (!same_origin_ && !client.reaches(to))) url_.clear();
        return {};
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
}

std::error_code Redirect::apply(Request& request) const noexcept {
    DCHECK(followed() && is_redirect(status_));
    const std::string_view method = request.method();
    const bool to_get =
        status_ == 303 ? method != "HEAD" && method != "GET" : status_ < 303 && method == "POST";
    if (to_get) {
        if (const auto error = request.set_method("GET")) return error;
        drop_content(request);
    }
    const std::string_view url = std::string_view(url_).substr(0, url_.find('#'));
    if (!same_origin_) {
        for (const std::string_view name : kCredentials)
            request.headers().erase(name);
    }
    Url parts;
    if (const auto error = parse_url(url, parts)) return error;
    if (is_whole(request.target())) {  // goes to a proxy
        if (const auto error = request.set_target(url)) return error;
        return request.headers().set("Host", parts.authority);
    }
    if (!same_origin_) return request.set_url(url);
    if (parts.target.starts_with('/')) return request.set_target(parts.target);
    // Without a path, perhaps with a query.
    try {
        return request.set_target("/" + std::string(parts.target));
    } catch (const std::bad_alloc&) {
        return Errc::not_enough_memory;
    }
}

}  // namespace uaio::http
