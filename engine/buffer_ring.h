// Buffers that the kernel chooses itself: a receive takes one when bytes have arrived, so that a
// connection that waits holds none (io_uring_register_buf_ring(3), Linux 5.19). Only as many are in
// the ring as were needed at once, so that they stay in the cache. Engine's thread.
#pragma once

#include "base/check.h"
#include "engine/kernel/kernel.h"

#include <cstddef>
#include <span>

struct io_uring_buf_ring;
struct io_uring_sqe;

namespace uaio {

class BufferRing {
public:
    static constexpr std::size_t kBufferBytes = 4096;
    static constexpr unsigned kBuffersMost = 1024;  // that one engine has

    explicit BufferRing(Kernel& kernel) noexcept : kernel_(kernel) {}
    ~BufferRing();
    BufferRing(const BufferRing&) = delete;
    BufferRing& operator=(const BufferRing&) = delete;

    // Registers the buffers at the first call. False, for good, if the kernel has no such rings or
    // no memory. On the thread of Kernel::bind().
    bool is_ready() noexcept {
        return state_ == State::ready || (state_ == State::unused && open());
    }
    // Fills the entry of a receive from `fd`. REQUIRES: is_ready().
    void prepare(io_uring_sqe& sqe, int fd) const noexcept;
    // The buffer of a completion with these flags; empty if it has none.
    std::span<char> buffer_of(unsigned flags) const noexcept;
    // Gives it back to the kernel; no effect if there is none.
    void give_back(unsigned flags) noexcept;
    // A receive found no buffer (ENOBUFS): adds some, up to kBuffersMost.
    void grow() noexcept;
    // Buffers that the kernel has, or that completions have.
    unsigned size() const noexcept { return size_; }

    // In a child of fork(2): the ring is the parent's.
    void abandon() noexcept { state_ = State::unavailable; }

private:
    enum class State : std::uint8_t { unused, ready, unavailable };

    bool open() noexcept;
    void add(unsigned first, unsigned end) noexcept;
    char* buffer(unsigned number) const noexcept;

    Kernel& kernel_;
    io_uring_buf_ring* ring_ = nullptr;  // with the buffers behind it
    unsigned size_ = 0;
    State state_ = State::unused;
};

}  // namespace uaio
