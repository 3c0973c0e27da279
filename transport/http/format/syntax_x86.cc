// Two shuffles classify a byte: one by its low half, which gives a bit for each high half that
// makes it a member, and one by its high half, which gives that bit. Ranges use comparisons. Each
// function has its own `target` attribute, so the library needs no compiler flags and runs on every
// x86-64.
#include "transport/http/format/syntax_x86.h"

#if defined(__x86_64__)

#include "base/check.h"

#include <immintrin.h>

#include <bit>

namespace uaio::http {
namespace {

// For each low half of a byte, the set of high halves (bit 0 to 7) that make a token character.
// Bytes from 0x80 on are not members: a shuffle gives zero where the index has its highest bit set.
constexpr auto kTokenHalves = [] {
    std::array<char, 16> halves{};
    for (unsigned low = 0; low < 16; ++low) {
        unsigned bits = 0;
        for (unsigned high = 0; high < 8; ++high) {
            if (is(kToken, static_cast<char>(high << 4 | low))) bits |= 1U << high;
        }
        halves[low] = static_cast<char>(bits);
    }
    return halves;
}();

constexpr auto kHighBits = [] {
    std::array<char, 16> bits{};
    for (unsigned high = 0; high < 8; ++high)
        bits[high] = static_cast<char>(1U << high);
    return bits;
}();
static_assert([] {
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool member = byte < 0x80 && (kTokenHalves[byte & 15] & kHighBits[byte >> 4]) != 0;
        if (member != is(kToken, static_cast<char>(byte))) return false;
    }
    return true;
}());

enum class Kind { token, value, target };

template <Kind kind>
constexpr std::uint8_t kClassOf = kind == Kind::token   ? kToken
                                  : kind == Kind::value ? kValue
                                                        : kTarget;

// A bit for each of 16 bytes that is not a member of the class.
template <Kind kind>
__attribute__((target("sse4.2"))) inline unsigned nonmembers(__m128i bytes) noexcept {
    if constexpr (kind == Kind::token) {
        const __m128i by_low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kTokenHalves));
        const __m128i by_high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kHighBits));
        const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f));
        const __m128i member =
            _mm_and_si128(_mm_shuffle_epi8(by_low, bytes), _mm_shuffle_epi8(by_high, high));
        const __m128i outside = _mm_cmpeq_epi8(member, _mm_setzero_si128());
        return static_cast<unsigned>(_mm_movemask_epi8(outside));
    } else if constexpr (kind == Kind::value) {
        const __m128i printable = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(' ')), bytes);
        const __m128i member = _mm_or_si128(printable, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
        const __m128i removed = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        return static_cast<unsigned>(_mm_movemask_epi8(_mm_andnot_si128(removed, member))) ^ 0xffff;
    } else {
        // As signed numbers, bytes from 0x80 on are below the space.
        const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' '));
        const __m128i removed = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                                             _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')));
        return static_cast<unsigned>(_mm_movemask_epi8(_mm_andnot_si128(removed, visible))) ^
               0xffff;
    }
}

template <Kind kind>
__attribute__((target("avx2"))) inline unsigned nonmembers(__m256i bytes) noexcept {
    if constexpr (kind == Kind::token) {
        const __m256i by_low = _mm256_broadcastsi128_si256(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kTokenHalves)));
        const __m256i by_high = _mm256_broadcastsi128_si256(
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(&kHighBits)));
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
        const __m256i member = _mm256_and_si256(_mm256_shuffle_epi8(by_low, bytes),
                                                _mm256_shuffle_epi8(by_high, high));
        const __m256i outside = _mm256_cmpeq_epi8(member, _mm256_setzero_si256());
        return static_cast<unsigned>(_mm256_movemask_epi8(outside));
    } else if constexpr (kind == Kind::value) {
        const __m256i printable =
            _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, _mm256_set1_epi8(' ')), bytes);
        const __m256i member =
            _mm256_or_si256(printable, _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\t')));
        const __m256i removed = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f));
        return ~static_cast<unsigned>(_mm256_movemask_epi8(_mm256_andnot_si256(removed, member)));
    } else {
        const __m256i visible = _mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(' '));
        const __m256i removed = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f)),
                                                _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('#')));
        return ~static_cast<unsigned>(_mm256_movemask_epi8(_mm256_andnot_si256(removed, visible)));
    }
}

// For buffers shorter than a vector register: a load beyond their end could touch an unmapped page.
template <Kind kind>
inline std::size_t scan_short(const char* base, std::size_t at, std::size_t end) noexcept {
    while (at < end && is(kClassOf<kind>, base[at]))
        ++at;
    return at;
}

template <Kind kind>
__attribute__((target("sse4.2"))) inline unsigned nonmembers_16(const char* bytes) noexcept {
    return nonmembers<kind>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

template <Kind kind>
__attribute__((target("avx2"))) inline unsigned nonmembers_32(const char* bytes) noexcept {
    return nonmembers<kind>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
}

inline std::size_t first(unsigned found) noexcept {
    return static_cast<std::size_t>(std::countr_zero(found));
}

// Scans the rest, at least a byte and less than a register, with a load that ends at `end`.
template <Kind kind>
__attribute__((target("sse4.2"))) inline std::size_t scan_end_16(const char* base, std::size_t at,
                                                                 std::size_t end) noexcept {
    DCHECK(at < end && end - at < 16);
    if (end < 16) return scan_short<kind>(base, at, end);
    const unsigned found = nonmembers_16<kind>(base + end - 16) >> (16 - (end - at));
    return found != 0 ? at + first(found) : end;
}

template <Kind kind>
__attribute__((target("sse4.2"))) std::size_t scan_by_16(const char* base, std::size_t at,
                                                         std::size_t end) noexcept {
    DCHECK(at <= end);
    for (; end - at >= 16; at += 16) {
        if (const unsigned found = nonmembers_16<kind>(base + at)) return at + first(found);
    }
    return at == end ? end : scan_end_16<kind>(base, at, end);
}

template <Kind kind>
__attribute__((target("avx2,sse4.2"))) std::size_t scan_by_32(const char* base, std::size_t at,
                                                              std::size_t end) noexcept {
    DCHECK(at <= end);
    for (; end - at >= 32; at += 32) {
        if (const unsigned found = nonmembers_32<kind>(base + at)) return at + first(found);
    }
    if (at == end) return end;
    if (end >= 32) {
        const unsigned found = nonmembers_32<kind>(base + end - 32) >> (32 - (end - at));
        return found != 0 ? at + first(found) : end;
    }
    if (end - at < 16) return scan_end_16<kind>(base, at, end);
    if (const unsigned found = nonmembers_16<kind>(base + at)) return at + first(found);
    at += 16;
    return at == end ? end : scan_end_16<kind>(base, at, end);
}

template <Kind kind>
__attribute__((target("sse4.2"))) inline std::uint64_t nonmembers_64(const char* bytes) noexcept {
    return std::uint64_t{nonmembers_16<kind>(bytes)} |
           std::uint64_t{nonmembers_16<kind>(bytes + 16)} << 16 |
           std::uint64_t{nonmembers_16<kind>(bytes + 32)} << 32 |
           std::uint64_t{nonmembers_16<kind>(bytes + 48)} << 48;
}

__attribute__((target("sse4.2"))) void classify_by_16(const char* bytes,
                                                      ByteClasses& classes) noexcept {
    static_assert(kClassified == 64);
    classes = {nonmembers_64<Kind::token>(bytes), nonmembers_64<Kind::value>(bytes)};
}

__attribute__((target("avx2,sse4.2"))) void classify_by_32(const char* bytes,
                                                           ByteClasses& classes) noexcept {
    static_assert(kClassified == 64);
    const std::uint64_t token = nonmembers_32<Kind::token>(bytes + 32);
    const std::uint64_t value = nonmembers_32<Kind::value>(bytes + 32);
    classes = {token << 32 | nonmembers_32<Kind::token>(bytes),
               value << 32 | nonmembers_32<Kind::value>(bytes)};
}

constexpr Scanner kBy16{"sse4.2", &scan_by_16<Kind::token>, &scan_by_16<Kind::value>,
                        &scan_by_16<Kind::target>, &classify_by_16};
// Names and methods are short: 16 bytes hold them, and are faster.
constexpr Scanner kBy32{"avx2", &scan_by_16<Kind::token>, &scan_by_32<Kind::value>,
                        &scan_by_32<Kind::target>, &classify_by_32};

}  // namespace

// __builtin_cpu_supports also checks that the kernel saves the registers. It needs
// __builtin_cpu_init where a constructor of static storage may be the caller.
const Scanner* sse42_scanner() noexcept {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") ? &kBy16 : nullptr;
}

const Scanner* avx2_scanner() noexcept {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") ? &kBy32 : nullptr;
}

}  // namespace uaio::http

#else

namespace uaio::http {

const Scanner* sse42_scanner() noexcept { return nullptr; }
const Scanner* avx2_scanner() noexcept { return nullptr; }

}  // namespace uaio::http

#endif
