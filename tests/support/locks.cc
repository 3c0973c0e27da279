#include "tests/support/locks.h"

#include <dlfcn.h>
#include <pthread.h>

#include <mutex>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define UAIO_COUNTS_LOCKS 1
#endif

namespace {

[[gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t lock_count = 0;

}  // namespace

#ifdef UAIO_COUNTS_LOCKS

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    using Lock = int (*)(pthread_mutex_t*);
    static const Lock lock = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    ++lock_count;
    return lock(mutex);
}

#endif

namespace uaio {

bool locks_are_counted() noexcept {
    const std::uint64_t before = lock_count;
    std::mutex mutex;
    const std::lock_guard lock(mutex);
    return lock_count != before;
}

std::uint64_t thread_locks() noexcept { return lock_count; }

}  // namespace uaio
