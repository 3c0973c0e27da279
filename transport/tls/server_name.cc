#include "transport/tls/server_name.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace uaio::tls {
namespace {

constexpr std::size_t kLabelMax = 63;  // RFC 1035 2.3.4

// Characters of a DNS label in practice: RFC 1123 2.1, and the underscore. Internationalised names
// are given as A-labels (RFC 5890 2.3.2.1).
bool is_label_character(char character) noexcept {
    const auto lower = static_cast<char>(character | 0x20);
    return (lower >= 'a' && lower <= 'z') || (character >= '0' && character <= '9') ||
           character == '-' || character == '_';
}

bool is_name(std::string_view text) noexcept {
    if (text.empty() || text.size() > kServerNameMax) return false;
    std::size_t label = 0;
    for (const char character : text) {
        if (character == '.') {
            if (label == 0) return false;
            label = 0;
        } else if (!is_label_character(character) || ++label > kLabelMax) {
            return false;
        }
    }
    return label > 0;
}

bool parse_v6(std::string_view text, ServerName& out) noexcept {
    const std::string_view without_zone = text.substr(0, text.find('%'));
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (without_zone.size() >= terminated.size()) return false;
    std::ranges::copy(without_zone, terminated.begin());
    if (::inet_pton(AF_INET6, terminated.data(), out.address_bytes.data()) != 1) return false;
    out.address_size = 16;
    return true;
}

}  // namespace

bool parse_server_name(std::string_view text, ServerName& out) noexcept {
    out = {};
    if (text.find('\0') != std::string_view::npos) return false;
    if (text.find(':') != std::string_view::npos) return parse_v6(text, out);
    if (text.ends_with('.')) text.remove_suffix(1);
    if (!is_name(text)) return false;
    std::ranges::copy(text, out.text.begin());
    in_addr v4{};
    if (::inet_aton(out.text.data(), &v4) == 0) {
        out.size = text.size();
        return true;
    }
    out.text = {};
    std::memcpy(out.address_bytes.data(), &v4, sizeof v4);
    out.address_size = sizeof v4;
    return true;
}

}  // namespace uaio::tls
