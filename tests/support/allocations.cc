#include "tests/support/allocations.h"

#include <dlfcn.h>
#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define UAIO_COUNTS_ALLOCATIONS 1
#endif

namespace {

// In the program's static TLS, so that the first use allocates nothing (ELF TLS, initial-exec).
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t thread_count = 0;
[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t fails_in = 0;
[[gnu::tls_model("initial-exec")]] constinit thread_local bool openssl_fails = false;
constinit std::atomic<std::int64_t> live_count{0};
constinit std::atomic<std::int64_t> live_size{0};

}  // namespace

#ifdef UAIO_COUNTS_ALLOCATIONS

// glibc's own names of what is replaced here (malloc(3), "Replacing malloc" in glibc's manual).
extern "C" {
void* __libc_malloc(std::size_t) noexcept;
void* __libc_calloc(std::size_t, std::size_t) noexcept;
void* __libc_realloc(void*, std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
void __libc_free(void*) noexcept;

// By the address that the allocation returns to.
static bool is_of_openssl(void* caller) noexcept {
    Dl_info from;
    if (::dladdr(caller, &from) == 0) return false;
    return std::strstr(from.dli_fname, "libcrypto.") || std::strstr(from.dli_fname, "libssl.");
}

static bool fails(void* caller) noexcept {
    if (fails_in == 0 || (!openssl_fails && is_of_openssl(caller))) return false;
    return --fails_in == 0;
}

static std::int64_t size_of(void* block) noexcept {
    return static_cast<std::int64_t>(::malloc_usable_size(block));
}

static void* counted(void* block) noexcept {
    if (block) {
        ++thread_count;
        live_size.fetch_add(size_of(block), std::memory_order_relaxed);
        live_count.fetch_add(1, std::memory_order_relaxed);
    }
    return block;
}

void* malloc(std::size_t size) noexcept {
    if (fails(__builtin_return_address(0))) return nullptr;
    return counted(__libc_malloc(size));
}
void* calloc(std::size_t number, std::size_t size) noexcept {
    if (fails(__builtin_return_address(0))) return nullptr;
    return counted(__libc_calloc(number, size));
}
void* realloc(void* old, std::size_t size) noexcept {
    if (size > 0 && fails(__builtin_return_address(0))) return nullptr;
    const std::int64_t before = size_of(old);
    void* const block = __libc_realloc(old, size);
    if (!old) return counted(block);
    if (block) ++thread_count;
    if (block || size == 0) live_size.fetch_add(size_of(block) - before, std::memory_order_relaxed);
    if (!block && size == 0) live_count.fetch_sub(1, std::memory_order_relaxed);
    return block;
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
    if (fails(__builtin_return_address(0))) return nullptr;
    return counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    if (fails(__builtin_return_address(0))) return nullptr;
    return counted(__libc_memalign(alignment, size));
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
    if (fails(__builtin_return_address(0))) return ENOMEM;
    void* const block = counted(__libc_memalign(alignment, size));
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}
void free(void* block) noexcept {
    if (block) {
        live_count.fetch_sub(1, std::memory_order_relaxed);
        live_size.fetch_sub(size_of(block), std::memory_order_relaxed);
    }
    __libc_free(block);
}
}

#endif

namespace uaio {

bool allocations_are_counted() {
    const std::uint64_t before = thread_count;
    // Through operator new, which may have been replaced too, for large blocks only, and through a
    // volatile pointer, or the compiler removes the pair.
    void* volatile block = ::operator new(4096);
    ::operator delete(block);
    return thread_count != before;
}

std::uint64_t thread_allocations() noexcept { return thread_count; }

void fail_next_allocation() noexcept { fail_allocation_behind(0); }

void fail_allocation_behind(std::uint64_t others, FailingAllocations which) noexcept {
    openssl_fails = which == FailingAllocations::all;
    fails_in = others + 1;
}

bool stop_failing() noexcept { return std::exchange(fails_in, 0) == 0; }

std::int64_t live_allocations() noexcept { return live_count.load(std::memory_order_relaxed); }

std::int64_t live_bytes() noexcept { return live_size.load(std::memory_order_relaxed); }

}  // namespace uaio
