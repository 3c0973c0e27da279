// What a Dialer was asked for, read and checked once: where to, through which proxies, by which
// rules. Not changed afterwards but for what says so; any thread.
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

    // Whether rules that expire still count at this time; the first call begins their life.
    bool rules_are_fresh(std::int64_t now_ns) const noexcept;

    const DialOptions options;
    std::error_code refused;  // set: every connect ends with this
    HostAndPort target;       // as the URL has it: whom TLS has to prove
    HostAndPort place;        // where to connect to, by the rules
    bool secure = false;
    Proxy pre_proxy;  // in front of `proxy`
    Proxy proxy;
    AddressRules addresses;
    std::optional<Endpoint> local;
    std::optional<tls::Context> tls_context;        // with the target, if it is secure
    std::optional<tls::Context> proxy_tls_context;  // with the proxy, if that is
    std::unique_ptr<Resolver> own_resolver;
    Resolver* resolver = nullptr;
    mutable std::atomic<std::int64_t> first_use_ns{0};  // 0: not used yet

private:
    std::error_code read_target(std::string_view text, std::string& scheme);
    std::error_code read_rules();
    std::error_code read_proxies(std::string_view scheme);
};

}  // namespace uaio
