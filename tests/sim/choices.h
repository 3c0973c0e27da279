// The source of a random run's decisions: a seed, or the bytes of a fuzzer, which then learns the
// effect of each. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>

namespace uaio {

class Choices {
public:
    explicit Choices(std::uint64_t seed) : random_(seed) {}
    // After the last of `bytes`, which must outlive this, every decision is the first one.
    explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes), from_bytes_(true) {}

    // 0 to limit - 1.
    std::uint64_t draw(std::uint64_t limit) {
        if (!from_bytes_) {
            return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
        }
        std::uint64_t value = 0;
        for (std::uint64_t range = limit - 1; range > 0; range >>= 8)
            value = value << 8 | next_byte();
        return value % limit;
    }

    bool chance(unsigned per_mille) { return draw(1000) < per_mille; }

private:
    std::uint8_t next_byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return byte;
    }

    std::mt19937_64 random_;
    std::span<const std::uint8_t> bytes_;
    const bool from_bytes_ = false;
};

}  // namespace uaio
