#include <uaio/buffers.h>

#include "base/check.h"
#include "engine/buffer_memory.h"
#include "engine/core.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace uaio {
namespace {

constexpr std::size_t kReserved = (BufferMemory::kArenas + 1) * BufferMemory::kArenaBytes;

}  // namespace

static_assert(BufferMemory::bytes_of(BufferMemory::kSizes - 1) == Buffers::kLargest);

void Buffer::give_back() noexcept { memory_->give_back(data_); }

Buffers::~Buffers() {
    if (memory_) memory_->release();
}

Buffer Buffers::take(std::size_t size) noexcept {
    if (size == 0 || size > kLargest || core_.is_over()) return {};
    if (!core_.on_thread() && core_.thread().is_bound()) {
        core_.misuse("Engine::buffers() was used on another thread than the engine's");
        return {};
    }
    if (!memory_) memory_ = BufferMemory::make();
    if (!memory_) return {};
    const unsigned number = BufferMemory::size_for(size);
    std::byte* data = memory_->take(number);
    if (!data) {
        const int arena = memory_->grow(number);
        if (arena < 0) return {};
        const bool registered =
            core_.kernel().register_memory(BufferMemory::kArenas, static_cast<unsigned>(arena),
                                           memory_->arena(arena), BufferMemory::kArenaBytes);
        if (registered) memory_->mark_registered(arena);
        data = memory_->take(number);
    }
    DCHECK(data);
    return {*memory_, data, BufferMemory::bytes_of(number)};
}

bool Buffers::is_registered(const Buffer& buffer) const noexcept {
    return memory_ && memory_->find_registered(buffer.data(), buffer.size()) >= 0;
}

int Buffers::arena_of(std::span<const iovec> entries) const noexcept {
    if (!memory_) return -1;
    int arena = -1;
    for (const iovec& entry : entries) {
        const int its =
            memory_->find_registered(static_cast<const std::byte*>(entry.iov_base), entry.iov_len);
        // The kernel refuses empty entries in registered memory.
        if (its < 0 || entry.iov_len == 0 || (arena >= 0 && its != arena)) return -1;
        arena = its;
    }
    return arena;
}

// ---- the memory

BufferMemory* BufferMemory::make() noexcept {
    void* const reserved =
        ::mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(reserved);
    const std::size_t skip = (kArenaBytes - address % kArenaBytes) % kArenaBytes;
    auto* const base = static_cast<std::byte*>(reserved) + skip;
    BufferMemory* const memory = new (std::nothrow) BufferMemory(reserved, base);
    if (!memory) ::munmap(reserved, kReserved);
    return memory;
}

BufferMemory::BufferMemory(void* reserved, std::byte* base) noexcept
    : reserved_(reserved), base_(base) {
    DCHECK(reinterpret_cast<std::uintptr_t>(base) % kArenaBytes == 0);
    std::ranges::fill(free_, kNone);
}

BufferMemory::~BufferMemory() {
    [[maybe_unused]] const int result = ::munmap(reserved_, kReserved);
    DCHECK(result == 0);
}

int BufferMemory::grow(unsigned size) noexcept {
    DCHECK(size < kSizes && free_[size] == kNone);
    if (count_ == kArenas) return -1;
    Arena& added = arenas_[count_];
    const auto pieces = static_cast<Piece>(kArenaBytes / bytes_of(size));
    added.next.reset(new (std::nothrow) Piece[pieces]);
    if (!added.next) return -1;
    const int number = static_cast<int>(count_);
    std::byte* const memory = arena(number);
    if (::mprotect(memory, kArenaBytes, PROT_READ | PROT_WRITE) < 0) return -1;
    // In huge pages a send would use up the socket's buffer at once: the kernel counts the bytes of
    // the page before the buffer as well (io_sg_from_iter()).
    static_cast<void>(::madvise(memory, kArenaBytes, MADV_NOHUGEPAGE));
    added.size = size;
    ++count_;
    for (Piece place = pieces; place-- > 0;) {
        const Piece piece = static_cast<Piece>(number) << kPlaceBits | place;
        next(piece) = std::exchange(free_[size], piece);
    }
    return number;
}

std::byte* BufferMemory::take(unsigned size) noexcept {
    DCHECK(size < kSizes);
    if (free_[size] == kNone) collect();
    const Piece piece = free_[size];
    if (piece == kNone) return nullptr;
    free_[size] = next(piece);
    references_.fetch_add(1, std::memory_order_relaxed);
    const Piece place = piece & ((1u << kPlaceBits) - 1);
    return arena(static_cast<int>(piece >> kPlaceBits)) + place * bytes_of(size);
}

// Sorts the pieces that were given back into the lists.
void BufferMemory::collect() noexcept {
    Piece piece = returned_.exchange(kNone, std::memory_order_acquire);
    while (piece != kNone) {
        const unsigned size = size_of(piece);
        const Piece behind = std::exchange(next(piece), free_[size]);
        free_[size] = std::exchange(piece, behind);
    }
}

// A stack that is only ever emptied as a whole, so that no element can return to it between the
// load and the exchange of another thread.
void BufferMemory::give_back(std::byte* data) noexcept {
    const auto offset = static_cast<std::size_t>(data - base_);
    const std::size_t number = offset / kArenaBytes;
    DCHECK(number < kArenas);
    const std::size_t place = offset % kArenaBytes / bytes_of(arenas_[number].size);
    DCHECK(arena(static_cast<int>(number)) + place * bytes_of(arenas_[number].size) == data);
    const Piece piece = static_cast<Piece>(number << kPlaceBits | place);
    Piece first = returned_.load(std::memory_order_relaxed);
    do {
        next(piece) = first;
    } while (!returned_.compare_exchange_weak(first, piece, std::memory_order_release,
                                              std::memory_order_relaxed));
    release();
}

void BufferMemory::release() noexcept {
    const std::uint32_t before = references_.fetch_sub(1, std::memory_order_acq_rel);
    DCHECK(before > 0);
    if (before == 1) delete this;
}

}  // namespace uaio
