#include "transport/http/incoming_head.h"

#include "base/check.h"

#include <algorithm>
#include <new>

namespace uaio::http {
namespace {

// Interim responses before a final one. One or two are usual: 100, and 103 for each group of links.
constexpr unsigned kMostInterim = 16;

}  // namespace

IncomingHead::Kept::Kept(const Limits& limits, Strictness strictness, bool is_request)
    : room(std::min<std::size_t>(limits.fields, 1 << 16)) {
    if (is_request) {
        parser.emplace<RequestParser>(room, limits);
    } else {
        parser.emplace<ResponseParser>(room, limits, best_scanner(), strictness);
    }
}

bool IncomingHead::keep(const Limits& limits, Strictness strictness, bool is_request) noexcept {
    try {
        kept_ = std::make_unique<Kept>(limits, strictness, is_request);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

// RFC 9110 7.8: a server must not switch to a protocol that the request did not name. Allows the
// switch if the request was not written here and its Upgrade is unknown.
HttpErrc IncomingHead::fault_of_status(int status, std::optional<RequestMethod> asked) noexcept {
    DCHECK(interim_ <= kMostInterim);
    if (status >= 200) return interim_ = 0, kFine;
    if (status == 101) {
        const bool may_switch = asked.value_or(RequestMethod::upgrade) == RequestMethod::upgrade;
        return may_switch ? kFine : HttpErrc::unexpected_switch;
    }
    return ++interim_ > kMostInterim ? HttpErrc::too_many_interim_responses : kFine;
}

}  // namespace uaio::http
