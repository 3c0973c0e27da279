// Resolves names: without a name server where possible, else by getaddrinfo(3). Any thread.
#pragma once

#include <uaio/resolver.h>

namespace uaio {

// False if `name` cannot be a host name. Name servers may reject others.
bool is_host_name(std::string_view name) noexcept;

// Appends addresses that need no lookup: numeric ones, and those of loopback names (RFC 6761 6.3).
// False if `name` is neither. Leaves `out` as it was if none is of the family wanted. Throws
// std::bad_alloc.
bool resolve_without_lookup(std::string_view name, AddressFamily family,
                            std::vector<Endpoint>& out);

// A Lookup; blocks.
[[nodiscard]] std::error_code lookup_by_getaddrinfo(const std::string& name, AddressFamily family,
                                                    std::vector<Endpoint>& out);

}  // namespace uaio
