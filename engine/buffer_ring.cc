#include "engine/buffer_ring.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include <liburing.h>

namespace uaio {
namespace {

constexpr unsigned kGroup = 0;
constexpr unsigned kFirstBuffers = 16;
constexpr int kMask = static_cast<int>(BufferRing::kBuffersMost) - 1;

// Buffers that all began at the same place of a page would compete for the same lines of a cache.
constexpr std::size_t kStride = BufferRing::kBufferBytes + 192;
constexpr std::size_t kRingBytes = BufferRing::kBuffersMost * sizeof(io_uring_buf);
constexpr std::size_t kMappedBytes = kRingBytes + BufferRing::kBuffersMost * kStride;

}  // namespace

static_assert((BufferRing::kBuffersMost & (BufferRing::kBuffersMost - 1)) == 0);

bool BufferRing::open() noexcept {
    state_ = State::unavailable;
    // Memory is used from the first bytes in a buffer on.
    void* const mapped = ::mmap(nullptr, kMappedBytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return false;
    // The kernel keeps the pages of the ring, which fork(2) would otherwise share. A child may
    // still read the buffers.
    static_cast<void>(::madvise(mapped, kRingBytes, MADV_DONTFORK));
    auto* const ring = static_cast<io_uring_buf_ring*>(mapped);
    io_uring_buf_ring_init(ring);
    if (!kernel_.register_buffer_ring(kGroup, ring, kBuffersMost)) {
        ::munmap(mapped, kMappedBytes);
        return false;
    }
    ring_ = ring;
    state_ = State::ready;
    add(0, kFirstBuffers);
    return true;
}

// A kernel that does not give the ring back may still write to it.
BufferRing::~BufferRing() {
    if (state_ != State::ready || !kernel_.unregister_buffer_ring(kGroup)) return;
    [[maybe_unused]] const int result = ::munmap(ring_, kMappedBytes);
    DCHECK(result == 0);
}

char* BufferRing::buffer(unsigned number) const noexcept {
    DCHECK(ring_ && number < size_);
    return reinterpret_cast<char*>(ring_) + kRingBytes + number * kStride;
}

void BufferRing::add(unsigned first, unsigned end) noexcept {
    DCHECK(first == size_ && end <= kBuffersMost);
    size_ = end;
    for (unsigned number = first; number < end; ++number) {
        io_uring_buf_ring_add(ring_, buffer(number), kBufferBytes,
                              static_cast<unsigned short>(number), kMask,
                              static_cast<int>(number - first));
    }
    io_uring_buf_ring_advance(ring_, static_cast<int>(end - first));
}

void BufferRing::grow() noexcept {
    DCHECK(state_ == State::ready);
    add(size_, std::min(2 * size_, kBuffersMost));
}

void BufferRing::prepare(io_uring_sqe& sqe, int fd) const noexcept {
    DCHECK(state_ == State::ready);
    io_uring_prep_recv(&sqe, fd, nullptr, 0, 0);
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = kGroup;
}

std::span<char> BufferRing::buffer_of(unsigned flags) const noexcept {
    if (!(flags & IORING_CQE_F_BUFFER)) return {};
    return {buffer(flags >> IORING_CQE_BUFFER_SHIFT), kBufferBytes};
}

void BufferRing::give_back(unsigned flags) noexcept {
    if (!(flags & IORING_CQE_F_BUFFER) || state_ != State::ready) return;
    const unsigned number = flags >> IORING_CQE_BUFFER_SHIFT;
    io_uring_buf_ring_add(ring_, buffer(number), kBufferBytes, static_cast<unsigned short>(number),
                          kMask, 0);
    io_uring_buf_ring_advance(ring_, 1);
}

}  // namespace uaio
