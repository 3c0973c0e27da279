// The dialogue with a SOCKS proxy: version 4, with or without the names of 4a, and version 5 (RFC
// 1928) with user and password (RFC 1929). Not thread-safe.
#pragma once

#include <uaio/proxy.h>

#include "transport/proxy/dialogue.h"

#include <cstdint>
#include <string>

namespace uaio::proxy {

class SocksDialogue final : public Dialogue {
public:
    // Uses only kind, user and password of `proxy`. `host` is a name, or a numeric address without
    // brackets. Does not resolve names: socks4 requires an IPv4 address and reports anything else
    // as no_version_4_address; the other kinds send a name unchanged.
    SocksDialogue(const Proxy& proxy, std::string_view host, std::uint16_t port);

    std::error_code begin(std::string& out) override;
    Progress consume(std::string_view received, std::string& out) override;

    // The code with which the proxy refused, or 0.
    int reply() const noexcept { return reply_; }

private:
    enum class State : std::uint8_t { reply_4, method, authenticated, reply_5 };

    [[nodiscard]] std::error_code begin_4(std::string& out);
    Progress consume_reply_4(std::string_view received);
    Progress consume_method(std::string_view received, std::string& out);
    Progress consume_authenticated(std::string_view received, std::string& out);
    Progress consume_reply_5(std::string_view received);
    void append_request_5(std::string& out) const;

    const ProxyKind kind_;
    const bool has_credentials_;
    const std::string user_;
    const std::string password_;
    const std::string host_;
    const std::uint16_t port_;
    State state_ = State::method;
    int reply_ = 0;
};

}  // namespace uaio::proxy
