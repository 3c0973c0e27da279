// All engines of the process, for the two events that take the thread of an engine away: fork(2),
// whose child has none of the parent's other threads and must not touch the parent's ring, and the
// end of a thread that has run an engine. Any thread.
#pragma once

#include "base/check.h"
#include "engine/gate.h"

#include <atomic>
#include <cstdint>

namespace uaio {

class LiveEngine {
public:
    LiveEngine(const LiveEngine&) = delete;
    LiveEngine& operator=(const LiveEngine&) = delete;

    // Any thread, between list() and unlist(). The gate itself is never freed; gate_number() is the
    // argument of its functions.
    Gate& gate() const noexcept { return *gate_; }
    unsigned gate_number() const noexcept { return gate_number_; }

protected:
    LiveEngine() = default;
    ~LiveEngine() { DCHECK(!previous_live_); }

    // Adds it to the list, and gives it a gate; the last step of its constructor. unlist() follows
    // the last callback, in the destructor, and gate().finish(). A `thread_local` engine is
    // destroyed before the end of its thread is reported. Throws std::system_error if
    // pthread_atfork(3) has no memory, or std::bad_alloc.
    void list();
    void unlist() noexcept;
    // From now on on_thread_end() reports the end of this thread.
    void bind_to_this_thread() noexcept;

private:
    friend class LiveEngines;

    // In a child, from the handler of pthread_atfork(3), with the list locked: may not lock, wait
    // or allocate.
    virtual void on_fork() noexcept = 0;
    // On the thread that ran it, at its end; not on the main thread, which ends with the process.
    virtual void on_thread_end() noexcept = 0;
    // In a child.
    virtual void close_inherited() noexcept = 0;

    LiveEngine* next_live_ = nullptr;
    LiveEngine** previous_live_ = nullptr;
    std::atomic<std::uint64_t> thread_number_{0};  // 0: of none, or of one that has ended
    Gate* gate_ = nullptr;
    unsigned gate_number_ = 0;
};

// Closes the descriptors of every engine that this process inherited. No effect in other processes.
void close_inherited_engines() noexcept;

// The number of forks between the first process with an engine and this one: an object that has
// threads compares it with the number at its construction. Registers the handlers of fork(2).
unsigned fork_count();

}  // namespace uaio
