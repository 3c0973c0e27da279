// Runs something on the thread of an engine, for objects that live on one and are made and
// destroyed on any.
#pragma once

#include "engine/core.h"

#include <condition_variable>
#include <exception>
#include <mutex>

namespace uaio::http {

// Returns when `work` is done, or throws what it threw; on the caller's own thread if that is the
// engine's, or if no thread runs the engine. Does nothing in a child of
// fork(2), where what `work` is about is the parent's. Allocates nothing itself.
template <class Work>
void run_there(Engine& engine, Work work) {
    EngineCore& core = EngineCore::of(engine);
    if (core.is_forked()) return;
    if (core.on_thread() || !core.is_bound()) return work();
    struct Errand : MailboxEntry {
        explicit Errand(Work& what) noexcept : work(what) {}
        Work& work;
        std::exception_ptr thrown;
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false;
    } errand(work);
    errand.deliver = [](MailboxEntry& entry) noexcept {
        Errand& self = static_cast<Errand&>(entry);
        try {
            self.work();
        } catch (...) {
            self.thrown = std::current_exception();
        }
        const std::lock_guard lock(self.mutex);
        self.done = true;
        self.changed.notify_one();
    };
    core.post(errand);
    std::unique_lock lock(errand.mutex);
    errand.changed.wait(lock, [&errand] { return errand.done; });
    if (errand.thrown) std::rethrow_exception(errand.thrown);
}

}  // namespace uaio::http
