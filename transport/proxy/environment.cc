#include <uaio/proxy.h>

#include "base/check.h"
#include "transport/http/format/syntax.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace uaio {
namespace {

// The bytes of a numeric address.
struct Numbers {
    std::array<unsigned char, 16> bytes{};
    std::size_t size = 0;  // 4, 16, or 0 for none
};

Numbers numbers_of(std::string_view text) noexcept {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        text = text.substr(1, text.size() - 2);
    }
    char terminated[INET6_ADDRSTRLEN] = {};
    Numbers numbers;
    if (text.size() >= sizeof terminated) return numbers;
    std::memcpy(terminated, text.data(), text.size());
    if (::inet_pton(AF_INET, terminated, numbers.bytes.data()) == 1) numbers.size = 4;
    if (::inet_pton(AF_INET6, terminated, numbers.bytes.data()) == 1) numbers.size = 16;
    return numbers;
}

bool has_prefix(const Numbers& address, const Numbers& prefix, std::size_t bits) noexcept {
    DCHECK(address.size == prefix.size && bits <= 8 * prefix.size);
    const std::size_t whole = bits / 8;
    if (!std::equal(prefix.bytes.begin(), prefix.bytes.begin() + whole, address.bytes.begin())) {
        return false;
    }
    if (bits % 8 == 0) return true;
    const unsigned mask = 0xff00u >> bits % 8;
    return ((address.bytes[whole] ^ prefix.bytes[whole]) & mask) == 0;
}

bool covers_address(std::string_view entry, const Numbers& address) noexcept {
    const std::size_t slash = entry.find('/');
    const Numbers network = numbers_of(entry.substr(0, slash));
    if (network.size != address.size) return false;
    std::size_t bits = network.size * 8;
    if (slash != entry.npos) {
        const auto given = http::parse_length(entry.substr(slash + 1));
        if (!given || *given > bits) return false;
        bits = static_cast<std::size_t>(*given);
    }
    return has_prefix(address, network, bits);
}

bool covers_name(std::string_view entry, std::string_view host) noexcept {
    if (entry.starts_with('.')) entry.remove_prefix(1);
    if (entry.ends_with('.')) entry.remove_suffix(1);
    if (entry.empty() || host.size() < entry.size()) return false;
    const std::size_t before = host.size() - entry.size();
    if (!http::same_name(host.substr(before), entry)) return false;
    return before == 0 || host[before - 1] == '.';
}

std::string value_of(const Environment& environment, const std::string& name) {
    const char* const value = environment(name.c_str());
    return value ? value : "";
}

std::string with_case(std::string_view text, bool upper) {
    std::string result(text);
    for (char& character : result) {
        const char letter = static_cast<char>(character | 0x20);
        if (letter >= 'a' && letter <= 'z') {
            character = upper ? static_cast<char>(letter & ~0x20) : letter;
        }
    }
    return result;
}

}  // namespace

std::string proxy_from_environment(std::string_view scheme, const Environment& environment) {
    const std::string lower = with_case(std::string(scheme) + "_proxy", false);
    std::string found = value_of(environment, lower);
    if (found.empty() && lower != "http_proxy") {
        found = value_of(environment, with_case(lower, true));
    }
    // WebSocket starts as HTTP, so it uses the same proxies, as in curl.
    if (found.empty() && lower == "ws_proxy") return proxy_from_environment("http", environment);
    if (found.empty() && lower == "wss_proxy") return proxy_from_environment("https", environment);
    if (found.empty()) found = value_of(environment, "all_proxy");
    if (found.empty()) found = value_of(environment, "ALL_PROXY");
    return found;
}

std::string no_proxy_from_environment(const Environment& environment) {
    std::string found = value_of(environment, "no_proxy");
    return found.empty() ? value_of(environment, "NO_PROXY") : found;
}

bool bypasses_proxy(std::string_view list, std::string_view host) noexcept {
    if (http::trimmed(list) == "*") return true;
    const Numbers address = numbers_of(host);
    if (address.size == 0 && host.ends_with('.')) host.remove_suffix(1);
    while (!list.empty()) {
        const std::size_t end = std::min(list.find_first_of(", \t"), list.size());
        const std::string_view entry = list.substr(0, end);
        list.remove_prefix(std::min(end + 1, list.size()));
        if (entry.empty()) continue;
        if (address.size > 0 ? covers_address(entry, address) : covers_name(entry, host)) {
            return true;
        }
    }
    return false;
}

}  // namespace uaio
