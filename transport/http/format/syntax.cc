#include "transport/http/format/syntax.h"

#include "base/check.h"
#include "transport/http/format/syntax_x86.h"

#include <algorithm>
#include <cstring>

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

template <class Word>
Word load(const char* bytes) noexcept {
    Word word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

// True if eight characters differ in nothing but the case of letters.
bool differ_in_case(std::uint64_t a, std::uint64_t b) noexcept {
    constexpr std::uint64_t kEach = 0x0101010101010101;
    constexpr std::uint64_t kCase = 0x20 * kEach;
    constexpr std::uint64_t kHighest = 0x80 * kEach;
    const std::uint64_t difference = a ^ b;
    if (difference == 0) return true;
    if ((difference & ~kCase) != 0) return false;
    // Sets the highest bit of each byte that is a letter; sums of 7 bits do not reach the next
    // byte.
    const std::uint64_t lower = a | kCase;
    const std::uint64_t low_bits = lower & ~kHighest;
    const std::uint64_t from_a = low_bits + (0x80 - 'a') * kEach;
    const std::uint64_t above_z = low_bits + (0x7f - 'z') * kEach;
    const std::uint64_t letters = from_a & ~above_z & ~lower & kHighest;
    return (difference & ~(letters >> 2)) == 0;
}

}  // namespace

bool same_long_name(const char* a, const char* b, std::size_t size) noexcept {
    DCHECK(size >= 4);
    if (size < 8) {  // two words that may overlap
        const auto both = [size](const char* text) {
            return load<std::uint32_t>(text) | std::uint64_t{load<std::uint32_t>(text + size - 4)}
                                                   << 32;
        };
        return differ_in_case(both(a), both(b));
    }
    for (std::size_t at = 0; at + 8 < size; at += 8) {
        if (!differ_in_case(load<std::uint64_t>(a + at), load<std::uint64_t>(b + at))) return false;
    }
    return differ_in_case(load<std::uint64_t>(a + size - 8), load<std::uint64_t>(b + size - 8));
}

const Scanner& plain_scanner() noexcept { return kPlain; }

const Scanner& best_scanner() noexcept {
    static const Scanner& best = *usable_scanners().back();
    return best;
}

std::span<const Scanner* const> usable_scanners() noexcept {
    return {usable().scanners.data(), usable().count};
}

std::optional<std::uint64_t> parse_length(std::string_view text) noexcept {
    constexpr std::uint64_t kLargest = INT64_MAX;
    constexpr std::size_t kSafe = 18;  // digits whose number is below that
    if (text.empty()) return std::nullopt;
    std::uint64_t number = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!is(kDigit, text[at])) return std::nullopt;
        const std::uint64_t digit = static_cast<std::uint64_t>(text[at] - '0');
        if (at >= kSafe && number > (kLargest - digit) / 10) return std::nullopt;
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
