#include "transport/http/format/syntax.h"

#include "transport/http/format/syntax_x86.h"

#include <algorithm>

namespace uaio::http {
namespace {

// No value, target or token can end a line or contain a NUL, and no name its colon.
static_assert(!is(kValue | kTarget | kToken, '\r') && !is(kValue | kTarget | kToken, '\n') &&
              !is(kValue | kTarget | kToken, '\0'));
static_assert(!is(kToken, ':') && !is(kToken | kTarget | kName, ' ') && !is(kTarget, '\x80'));

template <std::uint8_t Class>
std::size_t scan(const char* base, std::size_t at, std::size_t end) noexcept {
    while (at < end && is(Class, base[at]))
        ++at;
    return at;
}

constexpr Scanner kPlain{"plain", &scan<kToken>, &scan<kValue>, &scan<kTarget>};

struct Usable {
    std::array<const Scanner*, 3> scanners{&kPlain};
    std::size_t count = 1;

    Usable() noexcept {
        for (const Scanner* scanner : {sse42_scanner(), avx2_scanner()}) {
            if (scanner) scanners[count++] = scanner;
        }
    }
};

const Usable& usable() noexcept {
    static const Usable found;
    return found;
}

}  // namespace

const Scanner& plain_scanner() noexcept { return kPlain; }

const Scanner& best_scanner() noexcept { return *usable_scanners().back(); }

std::span<const Scanner* const> usable_scanners() noexcept {
    return {usable().scanners.data(), usable().count};
}

std::optional<std::uint64_t> parse_length(std::string_view text) noexcept {
    constexpr std::uint64_t kLargest = INT64_MAX;
    if (text.empty()) return std::nullopt;
    std::uint64_t number = 0;
    for (const char character : text) {
        if (!is(kDigit, character)) return std::nullopt;
        const std::uint64_t digit = static_cast<std::uint64_t>(character - '0');
        if (number > (kLargest - digit) / 10) return std::nullopt;
        number = number * 10 + digit;
    }
    return number;
}

bool next_element(std::string_view& list, std::string_view& element) noexcept {
    if (list.data() == nullptr) return false;
    bool quoted = false;
    std::size_t at = 0;
    for (; at < list.size(); ++at) {
        if (list[at] == '"') quoted = !quoted;
        if (list[at] == '\\' && quoted) ++at;
        if (at < list.size() && list[at] == ',' && !quoted) break;
    }
    at = std::min(at, list.size());
    element = trimmed(list.substr(0, at));
    list = at < list.size() ? list.substr(at + 1) : std::string_view();
    return true;
}

bool has_element(std::string_view list, std::string_view wanted) noexcept {
    std::string_view element;
    while (next_element(list, element)) {
        if (same_name(element, wanted)) return true;
    }
    return false;
}

}  // namespace uaio::http
