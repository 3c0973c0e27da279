#include <uaio/resolver.h>

#include "base/error_table.h"

namespace uaio {
namespace {

constexpr ErrorMeaning kMeanings[] = {
    {ResolveErrc::name_not_found, "name not found",
     "Nobody has that name; check its spelling, /etc/hosts and the search domains."},
    {ResolveErrc::no_address, "no address",
     "The name exists, but has no address of the kind wanted; allow the other family of "
     "addresses."},
    {ResolveErrc::try_again, "no name server answered",
     "No name server answered in time; check /etc/resolv.conf and the network, and try again."},
    {ResolveErrc::server_failed, "name server failed",
     "A name server answered that it cannot tell; ask whoever runs the name's domain, or try "
     "another server."},
    {ResolveErrc::bad_name, "bad host name",
     "The host name is empty, longer than 253 bytes, or holds a character that no name has."},
    {ResolveErrc::failed, "name lookup failed",
     "The lookup failed on this machine itself; it may lack memory or descriptors, or its "
     "configuration of names (nsswitch.conf) is broken."},
    {ResolveErrc::bad_rule, "bad rule for names",
     "A rule that overrides names is not written as it should be: HOST:PORT:ADDRESS[,ADDRESS] for "
     "an address, HOST:PORT:HOST2:PORT2 for another place to connect to; IPv6 in brackets."},
};

}  // namespace

const std::error_category& resolve_category() noexcept {
    static const StaticCategory category("resolve", kMeanings);
    return category.get();
}

std::error_code make_error_code(ResolveErrc code) noexcept {
    return {static_cast<int>(code), resolve_category()};
}

}  // namespace uaio
