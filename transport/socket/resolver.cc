#include <uaio/provider.h>
#include <uaio/resolver.h>

#include "base/check.h"
#include "engine/deadline.h"
#include "engine/live_engines.h"
#include "engine/thread.h"
#include "transport/socket/lookup.h"
#include "transport/socket/resolver_core.h"
#include "transport/stream/admit.h"
#include "transport/stream/starters.h"

#include <algorithm>
#include <memory>
#include <new>

namespace uaio {
namespace {

// Keeps the first of equal addresses, whatever their ports: resolve() replaces those.
void remove_repetitions(std::vector<Endpoint>& found) noexcept {
    auto end = found.begin();
    for (const Endpoint& each : found) {
        const Endpoint address = each.with_port(0);
        if (std::find(found.begin(), end, address) == end) *end++ = address;
    }
    found.erase(end, found.end());
}

}  // namespace
Resolver::Resolver(const ResolverOptions& options) : core_(new ResolverCore(options)) {}

// In a child of fork(2), threads that it lacks may hold the inherited locks, so the memory stays.
Resolver::~Resolver() {
    ResolverCore* const core = core_.load(std::memory_order_acquire);
    if (!core->is_inherited()) core->abandon();
}

void Resolver::resolve(std::string_view name, std::uint16_t port, AddressFamily family, Aio& aio,
                       std::vector<Endpoint>& out) noexcept {
    ResolverCore* const core = core_of_this_process();
    if (core) return core->resolve(name, port, family, aio, out);
    refuse<Errc::not_enough_memory>(aio);
}

void Resolver::clear_cache() noexcept {
    if (ResolverCore* const core = core_of_this_process()) core->clear_cache();
}

ResolverCore* Resolver::core_of_this_process() noexcept {
    ResolverCore* core = core_.load(std::memory_order_acquire);
    if (!core->is_inherited()) [[likely]]
        return core;
    try {
        auto* const made = new ResolverCore(core->options());
        if (core_.compare_exchange_strong(core, made, std::memory_order_acq_rel)) return made;
        made->abandon();  // another thread was first
        return core;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

ResolverCore::ResolverCore(const ResolverOptions& options)
    : options_(options), made_at_(fork_count()) {}

void ResolverCore::drop_user() noexcept {
    const unsigned users = users_.fetch_sub(1, std::memory_order_acq_rel);
    DCHECK(users > 0);
    if (users == 1) delete this;
}

// ---- operations

void ResolverCore::resolve(std::string_view name, std::uint16_t port, AddressFamily family,
                           Aio& aio, std::vector<Endpoint>& out) noexcept {
    std::unique_ptr<Waiter> waiter;
    try {
        waiter = std::make_unique<Waiter>();
        waiter->name = name;
    } catch (const std::bad_alloc&) {
        return refuse<Errc::not_enough_memory>(aio);
    }
    waiter->core = this;
    waiter->aio = &aio;
    waiter->out = &out;
    waiter->port = port;
    waiter->family = family;
    add_user();
    if (Provider::submit(aio.engine(), aio, &start, waiter.get())) {
        static_cast<void>(waiter.release());
    } else {
        drop_user();
    }
}

void ResolverCore::start(Aio& aio) noexcept {
    Waiter& waiter = *static_cast<Waiter*>(Provider::owner(aio));
    const Admission admission = admit_without_buffers(aio, false);
    if (admission.refused != Errc{}) {
        waiter.error = admission.refused;
    } else {
        try {
            if (!waiter.core->finds_at_once(waiter) && waiter.core->enqueue(waiter)) {
                return Provider::park(aio, &on_cancel);
            }
        } catch (const std::bad_alloc&) {
            waiter.error = Errc::not_enough_memory;
        } catch (const std::system_error& error) {
            waiter.error = error.code();
        }
    }
    finish(waiter);
}

bool ResolverCore::finds_at_once(Waiter& waiter) {
    if (!is_host_name(waiter.name)) {
        waiter.error = ResolveErrc::bad_name;
        return true;
    }
    if (resolve_without_lookup(waiter.name, waiter.family, waiter.found)) return true;
    const std::lock_guard lock(mutex_);
    const auto kept = std::ranges::find_if(kept_, [&](const Kept& one) {
        return one.name == waiter.name && one.family == waiter.family;
    });
    if (kept != kept_.end()) {
        if (EngineCore::of(waiter.aio->engine()).now_ns() < kept->expires_ns) {
            waiter.found = kept->found;
            return true;
        }
        kept_.erase(kept);
    }
    if (options_.threads > 0) return false;
    waiter.error = look_up(waiter.name, waiter.family, waiter.found);
    if (!waiter.error) {
        keep({.name = waiter.name,
              .family = waiter.family,
              .asked_ns = EngineCore::of(waiter.aio->engine()).now_ns(),
              .waiters = {}},
             waiter.found);
    }
    return true;
}

bool ResolverCore::enqueue(Waiter& waiter) {
    const std::lock_guard lock(mutex_);
    if (abandoned_) {  // submitted before the Resolver was destroyed
        waiter.error = Errc::closed;
        return false;
    }
    auto job = std::ranges::find_if(jobs_, [&](const Job& one) {
        return one.name == waiter.name && one.family == waiter.family;
    });
    if (job == jobs_.end()) {
        Job added{.name = waiter.name,
                  .family = waiter.family,
                  .asked_ns = EngineCore::of(waiter.aio->engine()).now_ns(),
                  .waiters = {&waiter}};
        jobs_.push_back(std::move(added));
        job = std::prev(jobs_.end());
        try {
            start_worker();
        } catch (...) {
            jobs_.pop_back();
            throw;
        }
    } else {
        job->waiters.push_back(&waiter);
    }
    waiter.job = &*job;
    work_waits_.notify_one();
    return true;
}

// A waiter is in its job's list or in the mailbox: both change under the lock.
void ResolverCore::on_cancel(Aio& aio) noexcept {
    Waiter& waiter = *static_cast<Waiter*>(Provider::owner(aio));
    ResolverCore& self = *waiter.core;
    DCHECK(waiter.aio == &aio);
    {
        const std::lock_guard lock(self.mutex_);
        if (!waiter.job) {
            waiter.aio = nullptr;
        } else {
            Job& job = *waiter.job;
            job.waiters.remove(&waiter);
            if (job.waiters.empty()) self.abandon(job);
        }
    }
    const std::error_code reason = Provider::cancel_reason(aio);
    if (!waiter.aio) return Provider::finish(aio, reason);
    waiter.error = reason;
    finish(waiter);
}

// Called when no operation waits for this job any more.
void ResolverCore::abandon(Job& job) noexcept {
    DCHECK(job.waiters.empty());
    if (!job.running) {
        jobs_.remove_if([&job](const Job& one) { return &one == &job; });
        return;
    }
    try {
        start_worker();
    } catch (...) {
        // Waiting jobs wait for the existing threads.
    }
}

void ResolverCore::deliver(MailboxEntry& entry) noexcept {
    Waiter& waiter = static_cast<Waiter&>(entry);
    // The posting thread may still be waking the engine, which may be gone after the callback.
    { const std::lock_guard lock(waiter.core->mutex_); }
    if (waiter.aio) return finish(waiter);
    const std::unique_ptr<Waiter> freed(&waiter);
    waiter.core->drop_user();
}

void ResolverCore::finish(Waiter& waiter) noexcept {
    DCHECK(EngineCore::of(waiter.aio->engine()).on_thread());
    const std::unique_ptr<Waiter> freed(&waiter);
    if (!waiter.error && waiter.found.empty()) waiter.error = ResolveErrc::no_address;
    if (!waiter.error) {
        for (Endpoint& endpoint : waiter.found)
            endpoint = endpoint.with_port(waiter.port);
        *waiter.out = std::move(waiter.found);
    }
    Provider::finish(*waiter.aio, waiter.error);
    waiter.core->drop_user();
}

// ---- lookups

std::error_code ResolverCore::look_up(const std::string& name, AddressFamily family,
                                      std::vector<Endpoint>& found) noexcept {
    try {
        if (!options_.lookup) return lookup_by_getaddrinfo(name, family, found);
        const std::error_code error = options_.lookup(name, family, found);
        if (!error) remove_repetitions(found);
        return error;
    } catch (...) {
        return Errc::not_enough_memory;
    }
}

std::size_t ResolverCore::allowed_workers() const noexcept {
    const auto left = static_cast<std::size_t>(std::ranges::count_if(
        jobs_, [](const Job& job) { return job.running && job.waiters.empty(); }));
    return options_.threads + std::min<std::size_t>(left, options_.spare_threads);
}

void ResolverCore::start_worker() {
    DCHECK(busy_ <= workers_ && workers_ <= options_.threads + options_.spare_threads);
    const auto waiting = static_cast<std::size_t>(
        std::ranges::count_if(jobs_, [](const Job& job) { return !job.running; }));
    if (workers_ - busy_ >= waiting || workers_ >= allowed_workers()) return;
    add_user();
    try {
        start_thread([this] { work(); }).detach();
        ++workers_;
    } catch (...) {
        // Not the last user: the operation that needs the thread is one.
        users_.fetch_sub(1, std::memory_order_relaxed);
        if (workers_ == 0) throw;
    }
}

void ResolverCore::work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto is_free = [](const Job& job) { return !job.running; };
        auto job = jobs_.end();
        work_waits_.wait(lock, [&] {
            job = std::ranges::find_if(jobs_, is_free);
            return abandoned_ || job != jobs_.end();
        });
        // A spare thread exits when the one that it replaced is free again.
        if (abandoned_) break;
        if (workers_ > allowed_workers()) {
            work_waits_.notify_one();
            break;
        }
        job->running = true;
        ++busy_;
        lock.unlock();
        std::vector<Endpoint> found;
        const std::error_code error = look_up(job->name, job->family, found);
        lock.lock();
        DCHECK(job->running && busy_ > 0 && busy_ <= workers_);
        --busy_;
        if (!error) keep(*job, found);
        for (Waiter* const waiter : job->waiters)
            answer(*waiter, error, found);
        jobs_.erase(job);
    }
    DCHECK(workers_ > busy_);
    --workers_;
    worker_left_.notify_all();
    lock.unlock();
    drop_user();
}

void ResolverCore::answer(Waiter& waiter, std::error_code error,
                          const std::vector<Endpoint>& found) noexcept {
    DCHECK(waiter.aio && waiter.job);  // or it is in the mailbox, or ended
    waiter.error = error;
    try {
        waiter.found = found;
    } catch (const std::bad_alloc&) {
        waiter.error = Errc::not_enough_memory;
    }
    waiter.job = nullptr;
    waiter.deliver = &deliver;
    EngineCore::of(waiter.aio->engine()).post(waiter);
}

void ResolverCore::keep(const Job& job, const std::vector<Endpoint>& found) {
    if (options_.cache_time.count() <= 0 || options_.cache_entries == 0) return;
    try {
        kept_.push_front({.name = job.name,
                          .family = job.family,
                          .expires_ns = deadline_after(job.asked_ns, options_.cache_time),
                          .found = found});
    } catch (const std::bad_alloc&) {
        return;  // the next operation looks it up again
    }
    if (kept_.size() > options_.cache_entries) kept_.pop_back();
}

void ResolverCore::clear_cache() noexcept {
    const std::lock_guard lock(mutex_);
    kept_.clear();
}

void ResolverCore::abandon() noexcept {
    {
        std::unique_lock lock(mutex_);
        DCHECK(!abandoned_);
        abandoned_ = true;
        for (Job& job : jobs_) {
            for (Waiter* const waiter : job.waiters)
                answer(*waiter, Errc::closed, {});
            job.waiters.clear();
        }
        jobs_.remove_if([](const Job& job) { return !job.running; });
        work_waits_.notify_all();
        worker_left_.wait(lock, [this] { return workers_ == busy_; });
    }
    drop_user();
}

}  // namespace uaio
