// The implementation of a Resolver: its lookup threads, the operations that wait for names, and the
// cache. Freed with the last of its Resolver, its threads and its operations. Members may be called
// by any thread unless noted.
#pragma once

#include <uaio/resolver.h>

#include "engine/core.h"
#include "engine/live_engines.h"

#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <string>
#include <vector>

namespace uaio {

class ResolverCore {
public:
    explicit ResolverCore(const ResolverOptions& options);

    void resolve(std::string_view name, std::uint16_t port, AddressFamily family, Aio& aio,
                 std::vector<Endpoint>& out) noexcept;
    void clear_cache() noexcept;
    // Called when the Resolver is destroyed.
    void abandon() noexcept;
    // True in a child of fork(2), which does not have its threads.
    bool is_inherited() const noexcept { return made_at_ != fork_count(); }
    const ResolverOptions& options() const noexcept { return options_; }

private:
    struct Job;

    // An operation. In its job's list until that is done, then in its engine's mailbox.
    struct Waiter : MailboxEntry {
        ResolverCore* core = nullptr;
        Aio* aio = nullptr;  // nullptr: it ended before its mail arrived; engine's thread
        std::vector<Endpoint>* out = nullptr;
        std::string name;
        std::uint16_t port = 0;
        AddressFamily family = AddressFamily::any;
        Job* job = nullptr;  // protected by mutex_
        std::error_code error;
        std::vector<Endpoint> found;
    };

    // A lookup. Protected by mutex_, except for name and family, which do not change.
    struct Job {
        std::string name;
        AddressFamily family = AddressFamily::any;
        std::int64_t asked_ns = 0;
        bool running = false;
        std::list<Waiter*> waiters;
    };

    struct Kept {
        std::string name;
        AddressFamily family = AddressFamily::any;
        std::int64_t expires_ns = 0;
        std::vector<Endpoint> found;
    };

    ~ResolverCore() = default;

    // Starter and canceler.
    static void start(Aio& aio) noexcept;
    static void on_cancel(Aio& aio) noexcept;
    static void deliver(MailboxEntry& entry) noexcept;

    [[nodiscard]] std::error_code look_up(const std::string& name, AddressFamily family,
                                          std::vector<Endpoint>& found) noexcept;
    // True if the operation is over, with `waiter.error` and `waiter.found` set. Throws.
    bool finds_at_once(Waiter& waiter);
    // Adds the waiter to a job. False if the Resolver is gone, with `waiter.error` set. Throws.
    bool enqueue(Waiter& waiter);
    // REQUIRES: mutex_.
    void abandon(Job& job) noexcept;
    // REQUIRES: mutex_. Number of threads that may run: lookups without a waiter allow spare ones.
    std::size_t allowed_workers() const noexcept;
    // REQUIRES: mutex_. Starts a thread if a job waits that no thread will take. Throws
    // std::system_error or std::bad_alloc if there is no thread at all.
    void start_worker();
    void work() noexcept;
    // REQUIRES: mutex_.
    void keep(const Job& job, const std::vector<Endpoint>& found);
    static void answer(Waiter& waiter, std::error_code error,
                       const std::vector<Endpoint>& found) noexcept;
    static void finish(Waiter& waiter) noexcept;
    void add_user() noexcept { users_.fetch_add(1, std::memory_order_relaxed); }
    void drop_user() noexcept;

    const ResolverOptions options_;
    const unsigned made_at_;  // fork_count()
    std::atomic<unsigned> users_{1};
    std::mutex mutex_;
    std::condition_variable work_waits_;
    std::condition_variable worker_left_;
    std::list<Job> jobs_;   // waiting for a thread, or running
    std::list<Kept> kept_;  // the newest first
    unsigned workers_ = 0;
    unsigned busy_ = 0;  // workers inside a lookup
    bool abandoned_ = false;
};

}  // namespace uaio
