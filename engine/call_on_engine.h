// Calls from any thread to the thread of an engine, which wait for the result: for objects that
// live on an engine and that any thread may make and destroy.
#pragma once

#include "base/check.h"
#include "engine/core.h"

#include <atomic>
#include <exception>
#include <utility>

namespace uaio {

// A mailbox entry on the stack of the thread that waits. It allocates nothing.
class CrossThreadCall : public MailboxEntry {
public:
    explicit CrossThreadCall(EngineCore& engine) noexcept : engine_(engine) {}

    // Posts this, whose deliver() leads to finish(), and waits for that. False if the engine ends
    // before it. Not on the engine's thread. Logs a warning when the engine's thread takes longer
    // than the drain_timeout.
    // REQUIRES: a Visit, or that the caller knows by other means that the engine lives.
    bool post_and_wait() noexcept {
        post();
        return wait();
    }
    // The two parts of post_and_wait().
    void post() noexcept { engine_.post(*this); }
    bool wait() noexcept;
    // On the engine's thread. Resumes the waiting thread, which destroys this object.
    void finish() noexcept {
        DCHECK(engine_.on_thread() || engine_.is_forked());
        DCHECK(!finished_.load(std::memory_order_relaxed));
        EngineCore& engine = engine_;
        finished_.store(true, std::memory_order_release);
        engine.loop().waiters().notify();
    }

private:
    EngineCore& engine_;
    std::atomic<bool> finished_{false};
};

// Runs `work`, a void(), on the engine's thread, and returns when it is done, or throws its
// exception; on the caller's own thread if that is the engine's, or if no thread runs the engine.
// No effect in a child of fork(2), where the objects of `work` are the parent's.
template <class Work>
void call_on_engine(Engine& engine, Work work) {
    EngineCore& core = EngineCore::of(engine);
    if (core.is_forked()) return;
    if (core.on_thread() || !core.thread().is_bound()) return work();
    struct Call : CrossThreadCall {
        Call(EngineCore& on, Work& what) noexcept : CrossThreadCall(on), work(what) {}
        Work& work;
        std::exception_ptr thrown;
    } call(core, work);
    const Visit visit(core.gate());
    call.deliver = [](MailboxEntry& entry) noexcept {
        Call& self = static_cast<Call&>(entry);
        try {
            self.work();
        } catch (...) {
            self.thrown = std::current_exception();
        }
        self.finish();
    };
    if (!call.post_and_wait()) return work();  // no thread runs the engine any more
    if (call.thrown) std::rethrow_exception(call.thrown);
}

}  // namespace uaio
