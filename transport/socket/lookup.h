// How a name becomes addresses: without a name server where that can be, else by getaddrinfo(3).
// Any thread.
#pragma once

#include <uaio/resolver.h>

namespace uaio {

// False for what cannot be a host name; what a name server makes of it is its own business.
bool is_host_name(std::string_view name) noexcept;

// Addresses that need no lookup: numbers, and the names of the loopback (RFC 6761 6.3). False if
// `name` is neither. No address of the family wanted leaves `out` as it was. Throws std::bad_alloc.
bool resolve_without_lookup(std::string_view name, AddressFamily family,
                            std::vector<Endpoint>& out);

// A Lookup; blocks.
std::error_code lookup_by_getaddrinfo(const std::string& name, AddressFamily family,
                                      std::vector<Endpoint>& out);

}  // namespace uaio
