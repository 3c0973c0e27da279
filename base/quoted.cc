#include "base/quoted.h"

#include <algorithm>

namespace uaio {
namespace {

constexpr std::size_t kQuotedMax = 255;
constexpr std::size_t kShortestKey = 24;  // characters: 16 bytes in base64

bool is_control(char character) noexcept {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7f;
}

bool is_lower(char character) noexcept { return character >= 'a' && character <= 'z'; }
bool is_upper(char character) noexcept { return character >= 'A' && character <= 'Z'; }
bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }

bool is_hex(char character) noexcept {
    const auto lower = static_cast<char>(character | 0x20);
    return is_digit(character) || (lower >= 'a' && lower <= 'f');
}

// Both alphabets of RFC 4648.
bool is_base64(char character) noexcept {
    return is_lower(character) || is_upper(character) || is_digit(character) ||
           std::string_view("+/=-_").find(character) != std::string_view::npos;
}

// The words of a boundary of PEM, also without its dashes; hexadecimal digits; or base64 with
// letters of both cases and digits. A path that begins at the root or the current folder is none.
bool looks_like_key(std::string_view text) noexcept {
    for (const std::string_view word : {"-----", "BEGIN ", "PRIVATE KEY"}) {
        if (text.find(word) != std::string_view::npos) return true;
    }
    if (text.size() < kShortestKey) return false;
    if (std::ranges::all_of(text, is_hex)) return true;
    return text.front() != '/' && std::ranges::all_of(text, is_base64) &&
           std::ranges::any_of(text, is_lower) && std::ranges::any_of(text, is_upper) &&
           std::ranges::any_of(text, is_digit);
}

}  // namespace

std::string in_quotes(std::string_view text) {
    if (text.size() > kQuotedMax || std::ranges::any_of(text, is_control) || looks_like_key(text)) {
        return "(" + std::to_string(text.size()) + " bytes, not quoted)";
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
