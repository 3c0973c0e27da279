#include "aio/quoted.h"

#include <algorithm>

namespace uaio {
namespace {

constexpr std::size_t kQuotedMax = 255;
constexpr std::size_t kShortestKey = 40;  // of base64; an Ed25519 key in PKCS #8 has 64

bool is_control(char character) noexcept {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
}

bool is_base64(char character) noexcept {
    const auto lower = static_cast<char>(character | 0x20);
    return (lower >= 'a' && lower <= 'z') || (character >= '0' && character <= '9') ||
           character == '+' || character == '/' || character == '=';
}

// A boundary of PEM; or DER, where a key is a SEQUENCE, 0x30, which base64 begins with an M.
bool looks_like_key(std::string_view text) noexcept {
    if (text.find("-----") != std::string_view::npos) return true;
    return text.size() >= kShortestKey && text.front() == 'M' &&
           std::ranges::all_of(text, is_base64);
}

}  // namespace

std::string in_quotes(std::string_view text) {
    if (text.size() > kQuotedMax || std::ranges::any_of(text, is_control) || looks_like_key(text)) {
        return "(" + std::to_string(text.size()) + " bytes that are not quoted here)";
    }
    return '"' + std::string(text) + '"';
}

std::string quoted_url(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
    std::string shown(url.substr(0, start));
    std::string_view rest = url.substr(start);
    const std::size_t query = rest.find_first_of("?#");
    // A password may have any character where the URL is not well-formed, and a query may have an
    // @.
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        if (query < at) return in_quotes(shown + "...");
        shown += "...@";
        rest.remove_prefix(at + 1);
    }
    const std::size_t end = rest.find_first_of("?#");
    shown += rest.substr(0, end);
    if (end != std::string_view::npos) shown += std::string(1, rest[end]) + "...";
    return in_quotes(shown);
}

}  // namespace uaio
