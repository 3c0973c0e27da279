#include "engine/late_requests.h"

#include "base/check.h"

#include <new>

namespace uaio {

LateRequests::LateRequests() { requests_.reserve(kReserved); }

// With the list locked.
bool LateRequests::invariants_hold() const noexcept {
    return count_.load(std::memory_order_relaxed) == requests_.size();
}

void LateRequests::set_count() noexcept {
    count_.store(static_cast<unsigned>(requests_.size()), std::memory_order_release);
}

bool LateRequests::add(const LateRequest& request) noexcept {
    DCHECK(request.operation && request.deliver);
    const std::lock_guard lock(mutex_);
    DCHECK(invariants_hold());
    try {
        requests_.push_back(request);
    } catch (const std::bad_alloc&) {
        return false;
    }
    set_count();
    return true;
}

// Holds the lock throughout, so that forget() on another thread returns only when no request for
// its operation is being delivered.
void LateRequests::deliver_all() noexcept {
    const std::lock_guard lock(mutex_);
    DCHECK(invariants_hold() && !delivering_);
    delivering_ = true;
    std::size_t kept = 0;
    for (const LateRequest& request : requests_) {
        if (!request.operation) continue;
        Completion& operation = *request.operation;
        const bool is_meant =
            request.any_generation ||
            operation.generation.load(std::memory_order_relaxed) == request.generation;
        if (is_meant && !request.deliver(operation, request.reason)) requests_[kept++] = request;
    }
    delivering_ = false;
    DCHECK(kept <= requests_.size());
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(kept), requests_.end());
    set_count();
}

void LateRequests::forget(const Completion& operation) noexcept {
    if (empty()) return;
    const std::lock_guard lock(mutex_);
    DCHECK(invariants_hold());
    if (delivering_) {  // on this thread, which is walking the list
        for (LateRequest& request : requests_) {
            if (request.operation == &operation) request.operation = nullptr;
        }
        return;
    }
    std::erase_if(requests_, [&operation](const LateRequest& request) {
        return request.operation == &operation;
    });
    set_count();
}

}  // namespace uaio
