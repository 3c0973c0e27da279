// Rules of a Dialer that override names: addresses that replace a lookup, and other places to
// connect to. Both use curl's syntax. Immutable after reading; any thread.
#pragma once

#include <uaio/endpoint.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace uaio {

struct HostAndPort {
    std::string host;  // without brackets
    std::uint16_t port = 0;
};

// "HOST:PORT:ADDRESS[,ADDRESS]..." (CURLOPT_RESOLVE). Also "*:PORT:...", for any host without a
// rule of its own; "+HOST:...", which expires; "-HOST:PORT", which removes rules.
class AddressRules {
public:
    // Later rules replace earlier ones for the same host and port. ResolveErrc::bad_rule; throws
    // std::bad_alloc.
    [[nodiscard]] std::error_code add(std::string_view text);

    // Returns the addresses for a host, each with its port; nothing if no rule matches. `fresh`:
    // rules that expire still count.
    std::optional<std::vector<Endpoint>> find(std::string_view host, std::uint16_t port,
                                              bool fresh) const;

private:
    struct Rule {
        HostAndPort of;
        bool expires = false;
        std::vector<Endpoint> addresses;
    };
    const Rule* rule_for(std::string_view host, std::uint16_t port, bool fresh) const noexcept;

    std::vector<Rule> rules_;
};

// "HOST:PORT:HOST2:PORT2" (CURLOPT_CONNECT_TO): connections to HOST and PORT, either empty for any,
// go to HOST2 and PORT2, either empty to keep the original.
class PlaceRules {
public:
    // ResolveErrc::bad_rule; throws std::bad_alloc.
    [[nodiscard]] std::error_code add(std::string_view text);
    // Changes `place` by the first rule that matches. False if none does. Throws std::bad_alloc.
    bool apply(HostAndPort& place) const;

private:
    struct Rule {
        std::string host;
        std::optional<std::uint16_t> port;
        std::string other_host;
        std::optional<std::uint16_t> other_port;
    };
    std::vector<Rule> rules_;
};

}  // namespace uaio
