// The memory of an engine's Buffers: arenas in one range of addresses, each cut into pieces of one
// size. Lives until the engine has ended and the last Buffer was given back. Members are for the
// engine's thread unless noted.
#pragma once

#include "base/check.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace uaio {

class BufferMemory {
public:
    static constexpr std::size_t kArenaBytes = std::size_t{2} << 20;
    static constexpr unsigned kArenas = 512;
    static constexpr unsigned kSizes = 5;
    static constexpr std::size_t kSmallest = 4096;

    // Reserves the addresses; null if there are none. The caller holds one reference.
    static BufferMemory* make() noexcept;
    BufferMemory(const BufferMemory&) = delete;
    BufferMemory& operator=(const BufferMemory&) = delete;

    // The number of the smallest size that holds `bytes`; each is four times the one before.
    static constexpr unsigned size_for(std::size_t bytes) noexcept {
        unsigned size = 0;
        while (bytes_of(size) < bytes)
            ++size;
        return size;
    }
    static constexpr std::size_t bytes_of(unsigned size) noexcept { return kSmallest << 2 * size; }

    // Takes a piece, which holds a reference; null if none is free.
    std::byte* take(unsigned size) noexcept;
    // Adds an arena of pieces of that size, and returns its number; -1 without memory.
    int grow(unsigned size) noexcept;
    std::byte* arena(int number) const noexcept {
        return base_ + static_cast<std::size_t>(number) * kArenaBytes;
    }
    // The kernel has registered the arena.
    void mark_registered(int number) noexcept { arenas_[number].registered = true; }

    // The number of the registered arena that the bytes lie in, or -1. O(1).
    int find_registered(const std::byte* data, std::size_t bytes) const noexcept {
        const auto offset =
            reinterpret_cast<std::uintptr_t>(data) - reinterpret_cast<std::uintptr_t>(base_);
        const std::size_t number = offset / kArenaBytes;
        if (number >= count_ || bytes > kArenaBytes - offset % kArenaBytes) return -1;
        return arenas_[number].registered ? static_cast<int>(number) : -1;
    }

    // Any thread: gives back a piece of take(), and its reference.
    void give_back(std::byte* data) noexcept;
    // Any thread: the last reference frees the memory.
    void release() noexcept;

private:
    // Names a piece: its arena, and its place there.
    using Piece = std::uint32_t;
    static constexpr unsigned kPlaceBits = 9;
    static constexpr Piece kNone = ~Piece{0};
    static_assert((kArenaBytes / kSmallest) == 1u << kPlaceBits);
    static_assert(kArenas << kPlaceBits < kNone);

    struct Arena {
        // The piece behind each one that is free. Outside the memory, so that a program that writes
        // behind its buffer breaks no list.
        std::unique_ptr<Piece[]> next;
        unsigned size = 0;
        bool registered = false;
    };

    BufferMemory(void* reserved, std::byte* base) noexcept;
    ~BufferMemory();

    Piece& next(Piece piece) noexcept {
        DCHECK(piece >> kPlaceBits < kArenas);
        return arenas_[piece >> kPlaceBits].next[piece & ((1u << kPlaceBits) - 1)];
    }
    unsigned size_of(Piece piece) const noexcept { return arenas_[piece >> kPlaceBits].size; }
    void collect() noexcept;

    void* const reserved_;
    std::byte* const base_;
    unsigned count_ = 0;
    Piece free_[kSizes];
    Arena arenas_[kArenas];

    // Members that other threads touch.
    alignas(64) std::atomic<Piece> returned_{kNone};
    std::atomic<std::uint32_t> references_{1};
};

}  // namespace uaio
