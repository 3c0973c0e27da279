// operator new and delete of the test programs where uaio is built with sanitize_memory_guard: a
// large block lies on pages of its own, which become inaccessible once it is deleted. Neither the
// address sanitizer nor valgrind detects a kernel write into freed memory; here it fails with
// EFAULT, and an access of the program with an immediate SIGSEGV. Any thread.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

namespace {

// Smaller blocks stay in the heap: a page for each would exhaust vm.max_map_count (65530). An Aio
// and every sizeable buffer is larger.
constexpr std::size_t kSmallest = 256;

// This many released blocks stay inaccessible; then the oldest is unmapped.
constexpr std::size_t kKept = 8192;

// Before each block, at the start of its first page.
struct alignas(64) Header {
    std::uintptr_t mark;  // kMark ^ its own address, unlikely in other memory
    std::size_t size;     // of the mapping
};
constexpr std::uintptr_t kMark = 0x7561696f67756172;
constexpr std::size_t kPage = 4096;

struct Released {
    void* pages = nullptr;
    std::size_t size = 0;
};

constinit std::mutex released_mutex;
constinit std::array<Released, kKept> released{};
constinit std::size_t released_next = 0;

Header* header_of(void* block) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    if (address % kPage != sizeof(Header)) return nullptr;  // never leaves the block's own page
    auto* const header = static_cast<Header*>(block) - 1;
    return header->mark == (kMark ^ reinterpret_cast<std::uintptr_t>(header)) ? header : nullptr;
}

void* allocate(std::size_t size, std::size_t alignment) {
    void* block = nullptr;
    if (size < kSmallest || alignment > sizeof(Header)) {
        const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
        block = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment);
        if (!block) throw std::bad_alloc();
        return block;
    }
    const std::size_t mapped = (size + sizeof(Header) + kPage - 1) / kPage * kPage;
    block = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
    auto* const header = static_cast<Header*>(block);
    header->mark = kMark ^ reinterpret_cast<std::uintptr_t>(header);
    header->size = mapped;
    return header + 1;
}

void release(void* block) noexcept {
    Header* const header = header_of(block);
    if (!header) {
        std::free(block);
        return;
    }
    Released oldest{header, header->size};
    if (mprotect(header, header->size, PROT_NONE) != 0) std::abort();
    {
        const std::lock_guard lock(released_mutex);
        std::swap(oldest, released[released_next]);
        released_next = (released_next + 1) % kKept;
    }
    if (oldest.pages) munmap(oldest.pages, oldest.size);
}

}  // namespace

// All other forms of new and delete call one of these (new.delete.single in the C++ standard).
void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
