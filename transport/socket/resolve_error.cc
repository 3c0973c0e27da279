#include <uaio/resolver.h>

#include "base/error_table.h"

#include <cstddef>
#include <iterator>

namespace uaio {
namespace {

constexpr ErrorMeaning kResolveMeanings[] = {
    {ResolveErrc::name_not_found, "name not found",
     "The name does not exist; check its spelling, /etc/hosts and the search domains."},
    {ResolveErrc::no_address, "no address",
     "The name has no address of the requested family; allow the other family."},
    {ResolveErrc::try_again, "no name server answered",
     "No name server answered in time; check /etc/resolv.conf and the network, and try again."},
    {ResolveErrc::server_failed, "name server failed",
     "A name server reported a failure; contact the administrator of the domain, or use another "
     "name server."},
    {ResolveErrc::bad_name, "bad host name",
     "The host name is empty, longer than 253 bytes, or contains an invalid character."},
    {ResolveErrc::failed, "name lookup failed",
     "The lookup failed on this machine; check its memory, its descriptors and nsswitch.conf."},
    {ResolveErrc::bad_rule, "bad resolve or connect-to rule",
     "A rule is malformed. A resolve rule is HOST:PORT:ADDRESS[,ADDRESS], a connect-to rule "
     "HOST:PORT:HOST2:PORT2; put IPv6 addresses in brackets."},
};
static_assert(std::size(kResolveMeanings) == static_cast<std::size_t>(ResolveErrc::bad_rule));

}  // namespace

const std::error_category& resolve_category() noexcept {
    static const StaticCategory category("resolve", kResolveMeanings);
    return category.get();
}

std::error_code make_error_code(ResolveErrc code) noexcept {
    return {static_cast<int>(code), resolve_category()};
}

}  // namespace uaio
