// A Dialer's target, proxies and rules, parsed and checked once. Immutable except where noted; any
// thread.
#pragma once

#include <uaio/dialer.h>

#include "transport/dialer/names.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace uaio {

struct DialPlan {
    // Throws std::bad_alloc, and what tls::Context() throws.
    DialPlan(std::string_view url, const DialOptions& given);

    // True if rules that expire still count at this time; the first call starts their lifetime.
    bool rules_are_fresh(std::int64_t now_ns) const noexcept;

    const DialOptions options;
    std::error_code refused;  // set: every connect ends with this
    HostAndPort target;       // as in the URL: the name that TLS verifies
    HostAndPort place;        // where to connect to, by the rules
    bool secure = false;
    Proxy pre_proxy;  // before `proxy`
    Proxy proxy;
    AddressRules addresses;
    std::optional<Endpoint> local;
    std::optional<tls::Context> tls_context;        // for the target, if it is secure
    std::optional<tls::Context> proxy_tls_context;  // for an HTTPS proxy
    std::unique_ptr<Resolver> own_resolver;
    Resolver* resolver = nullptr;
    mutable std::atomic<std::int64_t> first_use_ns{0};  // 0: not used yet

private:
    [[nodiscard]] std::error_code read_target(std::string_view text, std::string& scheme);
    [[nodiscard]] std::error_code read_rules();
    [[nodiscard]] std::error_code read_proxies(std::string_view scheme);
};

}  // namespace uaio
