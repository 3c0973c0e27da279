#include "transport/dialer/names.h"

#include <uaio/resolver.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <algorithm>

namespace uaio {
namespace {

// Names are equal with and without the dot of the root.
bool same_host(std::string_view a, std::string_view b) noexcept {
    if (a.ends_with('.')) a.remove_suffix(1);
    if (b.ends_with('.')) b.remove_suffix(1);
    return http::same_name(a, b);
}

// Splits off the part before the next colon, and the colon; removes brackets around a host. False
// if there is no colon: the part is then all of the text.
bool take_part(std::string_view& text, std::string_view& part) noexcept {
    const bool bracketed = text.starts_with('[');
    const std::size_t inside = bracketed ? text.find(']') : 0;
    const std::size_t colon = inside == text.npos ? text.npos : text.find(':', inside);
    part = text.substr(0, colon);
    if (bracketed && part.ends_with(']')) part = part.substr(1, part.size() - 2);
    text = colon == text.npos ? std::string_view() : text.substr(colon + 1);
    return colon != text.npos;
}

bool read_port(std::string_view text, std::uint16_t& port) noexcept {
    const auto number = http::parse_length(text);
    if (!number || *number == 0 || *number > 65535) return false;
    port = static_cast<std::uint16_t>(*number);
    return true;
}

bool read_port(std::string_view text, std::optional<std::uint16_t>& port) noexcept {
    std::uint16_t number = 0;
    if (text.empty()) return true;
    if (!read_port(text, number)) return false;
    port = number;
    return true;
}

}  // namespace

std::error_code AddressRules::add(std::string_view text) {
    const bool removes = text.starts_with('-');
    Rule rule;
    rule.expires = text.starts_with('+');
    if (removes || rule.expires) text.remove_prefix(1);
    std::string_view host;
    std::string_view port;
    if (!take_part(text, host) || host.empty()) return ResolveErrc::bad_rule;
    const bool addresses_follow = take_part(text, port);
    if (!read_port(port, rule.of.port) || addresses_follow == removes) return ResolveErrc::bad_rule;
    rule.of.host = host;
    while (addresses_follow) {
        const std::size_t comma = std::min(text.find(','), text.size());
        Endpoint address;
        if (Endpoint::parse_address(text.substr(0, comma), rule.of.port, address)) {
            return ResolveErrc::bad_rule;
        }
        rule.addresses.push_back(address);
        if (comma == text.size()) break;
        text.remove_prefix(comma + 1);
    }
    std::erase_if(rules_, [&](const Rule& earlier) {
        return earlier.of.port == rule.of.port && same_host(earlier.of.host, rule.of.host);
    });
    DCHECK(removes == rule.addresses.empty());
    if (!removes) rules_.push_back(std::move(rule));
    return {};
}

const AddressRules::Rule* AddressRules::rule_for(std::string_view host, std::uint16_t port,
                                                 bool fresh) const noexcept {
    for (const Rule& rule : rules_) {
        const bool counts = fresh || !rule.expires;
        if (counts && rule.of.port == port && same_host(rule.of.host, host)) return &rule;
    }
    return nullptr;
}

std::optional<std::vector<Endpoint>> AddressRules::find(std::string_view host, std::uint16_t port,
                                                        bool fresh) const {
    const Rule* rule = rule_for(host, port, fresh);
    if (!rule) rule = rule_for("*", port, fresh);
    if (!rule) return {};
    return rule->addresses;
}

std::error_code PlaceRules::add(std::string_view text) {
    std::string_view host;
    std::string_view port;
    std::string_view other_host;
    std::string_view other_port;
    Rule rule;
    const bool complete = take_part(text, host) && take_part(text, port) &&
                          take_part(text, other_host) && !take_part(text, other_port);
    if (!complete || !read_port(port, rule.port) || !read_port(other_port, rule.other_port)) {
        return ResolveErrc::bad_rule;
    }
    rule.host = host;
    rule.other_host = other_host;
    rules_.push_back(std::move(rule));
    return {};
}

bool PlaceRules::apply(HostAndPort& place) const {
    for (const Rule& rule : rules_) {
        if (!rule.host.empty() && !same_host(rule.host, place.host)) continue;
        if (rule.port && *rule.port != place.port) continue;
        if (!rule.other_host.empty()) place.host = rule.other_host;
        if (rule.other_port) place.port = *rule.other_port;
        return true;
    }
    return false;
}

}  // namespace uaio
