// Memory that is registered with an engine's io_uring (io_uring_register(2)): the kernel locks its
// pages once, and not again for each zero-copy send. Engine::buffers() hands it out in pieces. A
// write whose entries lie in one arena of it, 2 MiB, is sent from registered memory without further
// ado where StreamOptions::zero_copy sends it without a copy; lists of several entries from Linux
// 6.15 on. All other operations, reads included, use a Buffer as any other memory: the kernel
// copies received bytes into either.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <utility>

namespace uaio {

class BufferMemory;
class EngineCore;

// Owns a piece of an engine's buffers(). Any thread may move, read and destroy it, one at a time,
// also after the engine's end: then the memory stays until the last Buffer is destroyed. In a child
// of fork(2) it is a copy, private to the child.
class Buffer {
public:
    // Owns nothing.
    Buffer() noexcept = default;
    Buffer(Buffer&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer old(std::move(*this));
        std::swap(memory_, other.memory_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    // Gives the memory back to the engine, without a lock. No operation may use it any more.
    ~Buffer() {
        if (memory_) give_back();
    }

    // False if it owns nothing.
    explicit operator bool() const noexcept { return memory_ != nullptr; }
    // Not initialised, at an address divisible by 4096.
    std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

private:
    friend class Buffers;

    Buffer(BufferMemory& memory, std::byte* data, std::size_t size) noexcept
        : memory_(&memory), data_(data), size_(size) {}
    void give_back() noexcept;

    BufferMemory* memory_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// The buffers of one engine. Sizes are 4, 16, 64 and 256 KiB, and 1 MiB. Memory grows by arenas of
// 2 MiB, up to 1 GiB, and is kept until the engine's end. It is plain memory on epoll and on a
// SimKernel, and so are arenas that the limit of locked memory (RLIMIT_MEMLOCK) no longer admits.
class Buffers {
public:
    static constexpr std::size_t kLargest = std::size_t{1} << 20;

    // For EngineCore.
    explicit Buffers(EngineCore& core) noexcept : core_(core) {}
    ~Buffers();
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    // Takes a buffer of the smallest size that holds `size` bytes. Returns one that owns nothing
    // for a size of 0 or over kLargest, without memory, beyond 1 GiB, and where no thread runs the
    // engine any more. Engine's thread, or before the engine runs. Costs a few instructions, or for
    // the first buffers of a size mmap(2) and the locking of an arena.
    Buffer take(std::size_t size) noexcept;

    // True if the kernel has registered the memory of `buffer`, which take() returned. Engine's
    // thread.
    bool is_registered(const Buffer& buffer) const noexcept;

    // For the engine's streams: the number of the registered arena that all entries lie in, or -1.
    int arena_of(std::span<const iovec> entries) const noexcept;

private:
    EngineCore& core_;
    BufferMemory* memory_ = nullptr;  // made by the first take()
};

}  // namespace uaio
